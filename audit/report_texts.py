"""Labels of the auditor's report in English and Chinese: heads of columns, captions, judgements.

Only labels stand here; whole sentences stand where they are said, in both languages side by side.
"""

from audit.report_say import Say, same

__all__ = [
    "FAULTS",
    "FINDINGS",
    "SEVERITIES",
    "RULE_NAMES",
    "STEP_MARKS",
    "STEP_NAMES",
    "STEP_WORDS",
    "Words",
    "nothing_recorded",
    "step_name",
]


class Words:
    """One attribute per label."""

    # Columns.
    accountant = Say("Accountant", "核算方法")
    action = Say("Action", "操作")
    actor = Say("Recorded by", "操作主体")
    agree = Say("Agree", "一致")
    alarm_class = Say("Class", "类别")
    approved_by = Say("Approved by, recorded by", "批准人与记录主体")
    approvers = Say("Approvers", "批准人")
    bank = Say("Bank", "银行")
    basis = Say("Legal basis", "合法性基础")
    before = Say("Time before", "此前状态")
    bitmap = Say("Members in order (1 = in)", "成员位图（1 为参与）")
    bytes = Say("Bytes", "字节数")
    bytes_received = Say("Bytes received", "接收字节数")
    bytes_sent = Say("Bytes sent", "发送字节数")
    cap = Say("Cap", "上限")
    clock_error = Say("Clock error, µs", "时钟误差（微秒）")
    clock_source = Say("Clock source", "时间来源")
    code = Say("Code", "代码摘要")
    cohort_size = Say("Banks in the sum", "参与机构数")
    compared = Say("Comparison", "比对结果")
    cosigned_at = Say("Seen at", "见证时间")
    cosigned_size = Say("Records seen", "见证的记录数")
    data_class = Say("Class", "数据分级")
    dataset = Say("Data set", "数据集")
    datasets = Say("Data sets", "数据集")
    day = Say("Day (UTC)", "日期（UTC）")
    decision = Say("Decision", "决定")
    decisions_made = Say("Decisions", "决定数")
    delta = same("δ")
    detail = Say("Detail", "说明")
    document = Say("Document", "文件摘要")
    done = Say("Done", "完成")
    doubt = Say("Doubt", "可疑情况")
    due = Say("Due", "期限")
    eps_logged = Say("ε recorded", "登记的 ε")
    eps_recomputed = Say("ε recomputed", "复算的 ε")
    evidence = Say("Evidence", "依据")
    explanation = Say("Explanation", "解释文件")
    files = Say("Files", "文件")
    filter = Say("Selection", "筛选条件")
    findings = Say("Findings", "差异项")
    first_after = Say("First record after", "其后首条记录")
    first_record = Say("First record", "首条记录")
    floor = Say("Floor", "机构数下限")
    floor_noise = Say("Floor, noise", "机构数下限与噪声")
    frames = Say("Frames, at most", "帧数上限")
    heads = Say("Heads held by others", "他方所持树头数")
    hours = Say("Hours", "小时")
    job = Say("Job", "作业")
    job_purpose = Say("Job, purpose", "作业与用途")
    jobs = Say("Jobs", "作业")
    keys = Say("Old → new key", "旧密钥 → 新密钥")
    kind = Say("Kind", "报文类型")
    largest_head = Say("Largest of them", "其中最大者")
    last_before = Say("Last record before", "此前末条记录")
    last_record = Say("Last record", "末条记录")
    later_records = Say("Later spending", "其后消耗次数")
    log = Say("Log", "日志")
    mechanism = Say("Mechanism", "机制")
    median_apart = Say("Median difference", "时差中位数")
    message = Say("Message", "报文标识")
    messages = Say("Messages", "报文数")
    method = Say("Method", "方式")
    metrics = Say("Metrics", "指标")
    missing = Say("Dropped out", "退出机构")
    model = Say("Model", "模型")
    most_apart = Say("Largest difference", "最大时差")
    outcome = Say("Outcome", "结果")
    overlap = Say("Overlap until", "并用截止")
    pause = Say("Pause, s", "停顿（秒）")
    payload = Say("Payload SHA-256", "载荷 SHA-256")
    position = Say("Position", "环节")
    proof = Say("Proof", "凭证")
    proposal = Say("Proposal", "提案")
    protection = Say("Protection", "保护方式")
    public_key = Say("Public key", "公钥")
    purpose = Say("Purpose", "用途")
    quorum = Say("Witnesses", "见证")
    quorum_size = Say("Records under quorum", "已获见证的记录数")
    reason = Say("Reason", "原因")
    reasons = Say("Reason codes", "原因代码")
    down = Say("Agree (downwards)", "下行一致")
    down_bytes = Say("Bytes downwards", "下行字节数")
    received = Say("Received", "受理")
    records = Say("Records", "记录数")
    reference = Say("Application (keyed)", "申请（密钥化引用）")
    request = Say("Request", "请求编号")
    resource = Say("Resource", "对象")
    result = Say("Result", "结果")
    retention = Say("Keep until", "保存至")
    review = Say("Review", "人工复核")
    role = Say("Role", "角色")
    schema = Say("Schema", "结构摘要")
    where = Say("Where", "位置")
    scope = Say("Covers", "适用范围")
    severity = Say("Severity", "级别")
    share = Say("Share", "占比")
    signatories = Say("Signed by", "签署人")
    signatures = Say("Signatures checked", "已验签名")
    software = Say("Software", "软件版本")
    spec_code = Say("Specification, code", "任务说明、代码摘要")
    step = Say("Step", "环节")
    subject = Say("Who", "访问主体")
    survivors = Say("Banks", "机构数")
    time = Say("Time (UTC)", "时间（UTC）")
    to = Say("To", "接收方")
    told = Say("Told at", "通知时间")
    type = Say("Type", "类型")
    unit = Say("Unit of privacy", "保护单位")
    utc_day = Say("day (UTC)", "日期（UTC）")
    valid_to = Say("Valid to", "有效期至")
    validation = Say("Validation", "验证文件")
    went_back = Say("Went back", "回拨次数")
    what = Say("What", "事项")
    who = Say("Who", "导出人")
    whom = Say("Whom or which", "对象")
    why = Say("Why it is listed", "列出原因")
    witness = Say("Witness", "见证方")
    # Judgements in cells.
    accepted = Say("accepted", "批准")
    allowed = Say("allowed", "允许")
    clean = Say("ended in order", "正常结束")
    denied = Say("denied", "拒绝")
    everyone = Say("members of the job", "作业成员")
    in_time = Say("in time", "按期")
    key_changed = Say("key changed", "密钥变更")
    late = Say("late", "逾期")
    member_changed = Say("member changed", "成员变更")
    no_doubt = Say("none stated", "未声明")
    no_noise = Say("no noise recorded", "无噪声记录")
    see_spending = Say("with noise: question 4", "含噪声，见问题 4")
    no_job = Say("names no job", "未注明所属作业")
    nobody_told = Say("not recorded", "未记载")
    not_decided = Say("no decision about its job stands before it", "此前没有该作业的批准记录")
    not_judged = Say("dates cannot be compared", "日期无法比对")
    not_recomputed = Say("cannot be recomputed", "无法复算")
    other_spec = Say("another specification than the accepted one", "任务说明与批准时不一致")
    refused = Say("refused", "拒绝")
    stopped = Say("stopped", "已停止")
    unclean = Say("ended without closing", "异常中断")
    was_refused = Say("its job was refused", "所属作业已被拒绝")
    went_on = Say("went on", "仍在继续")
    # Captions of tables and pictures.
    admin_acts = Say("Checks of administrators' access", "管理员访问校验")
    all_steps = Say("Steps of verification", "验证环节")
    assessments = Say("Assessments", "影响评估记录")
    below_floor = Say("Records below the job's floor", "低于机构数下限的记录")
    blocks = Say("Control frames, authorised in blocks", "控制帧（按批次授权）")
    both_sides = Say("Bank and coordinator, joined by message id", "按报文标识核对银行与协调方日志")
    broken_rule = Say("Where a rule about masks is broken", "违反掩码规则之处")
    budget_alarms = Say("Alarms about the budget", "预算类告警")
    changes = Say("Changes of members and keys", "成员与密钥变更")
    checks = Say("Checks of access", "访问校验")
    clock_steps = Say("Alarms about clock steps", "时钟跳变告警")
    clocks = Say("Clocks of the logs", "各日志的时钟")
    cohort_sizes = Say("Sums by number of banks", "按参与机构数统计的聚合次数")
    cosignatures = Say("Newest cosignatures", "最近一次见证签名")
    coverage = Say("How far each log is proved", "各日志的证明范围")
    decisions = Say("Decisions about jobs", "作业决定")
    differences = Say("Differences", "差异明细")
    dropouts = Say(
        "Sums that a bank dropped out of, or is missing from for the first time", "有机构中途退出或首次缺席的聚合"
    )
    each_message = Say("Messages one by one", "外发报文明细")
    egress_by_day = Say("By day, recipient, purpose and kind", "按日期、接收方、用途与类型汇总")
    epsilon_faults = Say("Records that do not agree", "与复算不符的记录")
    erasures = Say("Erasures", "删除执行记录")
    exceeded = Say("Where the cap was first exceeded", "首次突破上限的位置")
    exports = Say("Exports", "导出记录")
    fork_alarms = Say("Alarms about two histories", "关于两份历史的告警")
    gap_alarms = Say("Alarms about gaps and disks", "缺口与磁盘告警")
    grave_alarms = Say("Alarms of high and critical severity", "高级与严重级告警")
    held_elsewhere = Say("held by another log of this report", "他方日志持有")
    job_sources = Say("What the jobs used", "各作业所用代码与数据集")
    log_keys = Say("Keys that the logs were verified under", "验证所用的日志公钥")
    models = Say("Released models", "已发布模型")
    no_checkpoint = Say("under no checkpoint", "尚无检查点覆盖")
    not_assessed = Say("Accepted jobs without a valid assessment", "缺少有效评估的已批准作业")
    openings = Say("Starts of logging", "日志启动记录")
    orphans = Say("Messages without an approval", "缺少批准的报文")
    other_alarms = Say("Other alarms", "其他告警")
    other_steps = Say("Steps that did not simply pass", "未直接通过的环节")
    others = Say("others", "其他")
    own_checkpoint = Say("under the log's own checkpoint", "仅有本日志检查点")
    picture_days = Say("Bytes of payload by day and purpose", "每日外发字节数（按用途）")
    picture_kinds = Say("Bytes of payload by log and kind", "各日志外发字节数（按报文类型）")
    promotions = Say("Models that a quorum of banks signed off", "经法定数量银行签批的模型")
    protections = Say("Payloads by kind and protection", "按类型与保护方式统计")
    recording = Say("recording", "记录中")
    reviews = Say("Decisions by kind of review", "按复核方式统计")
    rotations = Say("Rotations of keys", "密钥轮换")
    rules = Say("Rules about masks, over the banks' logs", "掩码规则核验（跨银行日志）")
    same_history = Say("What others hold of each log", "他方所持各日志的情况")
    silences = Say("Silences of more than 25 hours", "超过 25 小时的静默")
    silent = Say("silent", "无记录")
    smallest_sum = Say("The smallest", "最小的一次")
    spending = Say("Spending per data set", "各数据集的隐私预算")
    start = Say("start", "启动")
    sums = Say("Opened sums", "已打开的聚合次数")
    timeline = Say("Recording over time", "记录时间轴")
    unclean_start = Say("start after an unclean end", "异常中断后启动")
    unmasked = Say("Payloads that left without a mask", "未加掩码即外发的报文")
    verdicts = Say("Decisions", "决定明细")
    verification = Say("Verification, step by step", "逐环节验证结果")
    votes = Say("Votes", "表决次数")
    without_receipt = Say("Messages without a receipt", "没有回执的报文")


SEVERITIES = {
    "low": Say("low", "低"),
    "medium": Say("medium", "中"),
    "high": Say("high", "高"),
    "critical": Say("critical", "严重"),
}

_UP = {
    "not-received": Say("sent, and never received by the coordinator", "已发送，协调方从未收到"),
    "arrived-twice": Say("arrived more often than it was sent", "到达次数多于发送次数"),
    "accepted-twice": Say("accepted more than once", "被重复受理"),
    "sent-again": Say("sent more often than it arrived", "发送次数多于到达次数"),
    "egress-hidden": Say("arrived with the bank's signature; its log lacks it", "带有本行签名到达，但本行日志缺失"),
    "arrival-invented": Say("recorded by the coordinator without the bank's signature", "协调方登记的到达无本行签名"),
    "lost": Say("arrived; the bank's record of it may have been lost in a crash", "已到达；本行记录可能因崩溃缺失"),
    "one-sided": Say(
        "recorded by the coordinator only; give --members to tell whose doing it is",
        "仅协调方有登记；提供 --members 方可判定责任方",
    ),
    "differs": Say("the two logs show another digest or size", "双方日志的摘要或长度不一致"),
    "signature": Say("the signature on the arrival is not the bank's", "到达记录上的签名不是本行的"),
    "refused": Say("refused by the coordinator", "被协调方拒收"),
    "clock": Say("the two logs' times differ by more than five seconds", "双方时间相差超过 5 秒"),
}
_DOWN = {
    "not-received": Say("sent by the coordinator, and never received by the bank", "协调方已发送，本行从未收到"),
    "arrived-twice": Say("arrived more often than the coordinator sent it", "到达次数多于协调方发送次数"),
    "accepted-twice": Say("accepted by the bank more than once", "被本行重复受理"),
    "sent-again": Say("sent by the coordinator more often than it arrived", "协调方发送次数多于到达次数"),
    "hidden": Say("arrived with the coordinator's signature; its log lacks it", "带有协调方签名到达，但协调方日志缺失"),
    "invented": Say("recorded by the bank without the coordinator's signature", "本行登记了未经协调方签名的到达"),
    "lost": Say("arrived; the coordinator's record may have been lost in a crash", "已到达；协调方记录可能因崩溃缺失"),
    "one-sided": Say(
        "recorded by the bank only; give --members to tell whose doing it is",
        "仅本行有登记；提供 --members 方可判定责任方",
    ),
    "differs": Say("the two logs show another digest or size (downwards)", "双方日志的摘要或长度不一致（下行）"),
    "signature": Say("the signature on the arrival is not the coordinator's", "到达记录上的签名不是协调方的"),
    "refused": Say("refused by the bank", "被本行拒收"),
    "clock": Say("the two logs' times differ by more than five seconds", "双方时间相差超过 5 秒"),
}
FINDINGS = {**_UP, **{f"down-{code}": words for code, words in _DOWN.items()}}

FAULTS = {
    "entry": Say("out of order", "顺序错误"),
    "missing": Say("releases without record", "发布缺失记录"),
    "not-priced": Say("cannot be priced", "无法核算"),
    "differs": Say("another figure", "数值不符"),
    "unpaid": Say("upload without release", "上传未计入预算"),
    "left-out": Say("left out too early", "过早剔除"),
    "above-cap": Say("above the cap", "超出上限"),
}

STEP_NAMES = {
    "formats": Say("formats", "格式"),
    "sequence": Say("sequence", "序号连续"),
    "origin": Say("origin", "日志归属"),
    "stored hashes": Say("stored hashes", "存储哈希"),
    "checkpoint signatures": Say("checkpoint signatures", "检查点签名"),
    "checkpoint roots": Say("checkpoint roots", "检查点树根"),
    "clocks": Say("clocks", "时钟"),
    "message ids": Say("message ids", "报文标识"),
    "receipts": Say("receipts", "回执"),
    "heads known from elsewhere": Say("heads known from elsewhere", "他方所知树头"),
    "cosignatures": Say("cosignatures", "见证签名"),
    "quorum": Say("quorum", "法定见证数"),
}

RULE_NAMES = {
    "masked payloads": Say("parts of sums left masked", "聚合分量均带掩码"),
    "one vote a position": Say("one vote a position", "每一环节仅表决一次"),
    "no log shows both": Say("no log shows both halves", "没有单份日志同时给出两类份额"),
    "shares and seeds": Say("shares and seeds over all logs", "跨日志的份额与种子"),
    "one sum for all": Say("one sum for all", "各方所见聚合一致"),
    "smallest cohort": Say("smallest cohort", "最小参与机构数"),
    "lists and records": Say("lists and records agree", "清单与记录一致"),
    "all logs given": Say("all logs given", "各成员日志齐备"),
}

STEP_WORDS = {
    "passed": Say("passed", "通过"),
    "skipped": Say("skipped", "未执行"),
    "flagged": Say("flagged", "提示"),
    "incomplete": Say("incomplete", "不完整"),
    "failed": Say("FAILED", "未通过"),
    "rolled-back": Say("ROLLED BACK", "已回退"),
}

STEP_MARKS = {"passed": "✓", "skipped": "–", "flagged": "!", "incomplete": "…", "failed": "✗", "rolled-back": "✗"}


def step_name(number: int, name: str) -> Say:
    """Return a step of verification or a rule with its number; one without a Chinese name keeps its own."""
    words = STEP_NAMES.get(name) or RULE_NAMES.get(name) or same(name)
    return Say(f"({number}) {words.en}", f"({number}) {words.zh}")


def nothing_recorded(*kinds: str) -> Say:
    """Return the sentence for a question that no record answers."""
    names = ", ".join(kinds)
    return Say(
        f"No record of this kind ({names}) stands in the given logs.",
        f"所提供的日志中没有此类记录（{names}）。",
    )
