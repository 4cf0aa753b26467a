"""The 22 questions of an auditor, the limits of every answer, and the report's fixed sentences, in both languages.

The rules named beside a question are pointers for the reader, not legal advice.
"""

from audit.report_answer import Status
from audit.report_say import Say, same

__all__ = ["LIMITS", "PAGE", "QUESTIONS", "STATUS_MARKS", "STATUS_WORDS"]

QUESTIONS: dict[int, tuple[Say, Say]] = {
    1: (
        Say(
            "Which bytes left the bank on which day, to whom, for what purpose?",
            "某日有哪些数据离开本行？发往何处？用于何种目的？",
        ),
        Say("PIPL 55, PBoC [2025] 3", "《个人信息保护法》第 55 条、央行令〔2025〕第 3 号"),
    ),
    2: (Say("Did anything leave that was not approved?", "是否有未经批准的数据外发？"), same("DORA RTS 2024/1774, 12")),
    3: (
        Say("Did the coordinator receive what was sent, and nothing more?", "协调方收到的是否恰为所发，不多不少？"),
        same("GDPR 5(2)"),
    ),
    4: (
        Say("What ε is spent on each data set, under which accountant?", "各数据集已消耗多少 ε？采用何种核算方法？"),
        same("NIST SP 800-226"),
    ),
    5: (
        Say("Was the budget ever exceeded, and was work stopped?", "隐私预算是否曾被突破？作业是否随之停止？"),
        same("NIST SP 800-226"),
    ),
    6: (
        Say(
            "Who approved each job, in what role, on which specification?",
            "每项作业由谁、以何种身份、依据哪份任务说明批准？",
        ),
        same("NIST SP 800-92, SR 26-2"),
    ),
    7: (
        Say(
            "Which impact assessment covered each job, and was it valid that day?",
            "每项作业由哪份影响评估覆盖？当日是否有效？",
        ),
        Say("PIPL 55–56, GDPR 35", "《个人信息保护法》第 55–56 条、GDPR 第 35 条"),
    ),
    8: (
        Say("Can it be proved that no record was deleted or changed?", "能否证明记录未被删除或改动？"),
        same("DORA RTS 2024/1774, 12"),
    ),
    9: (
        Say("Did all auditors and banks see the same history?", "审计人员与各银行所见是否为同一历史？"),
        same("C2SP tlog-witness"),
    ),
    10: (
        Say(
            "Was every recorded payload masked, and do the logs never show both halves of a member's masks?",
            "已登记的外发数据是否均受掩码保护？各日志合在一起是否从未同时出现同一成员的两类份额？",
        ),
        Say("PIPL 51", "《个人信息保护法》第 51 条"),
    ),
    11: (
        Say("What is the smallest cohort that was ever aggregated?", "参与聚合的机构数最少是多少？"),
        same("NIST SP 800-226"),
    ),
    12: (
        Say("Which model version decided an application, and why?", "某笔申请由哪个模型版本作出决定？理由是什么？"),
        Say("PIPL 24, GDPR 22", "《个人信息保护法》第 24 条、GDPR 第 22 条"),
    ),
    13: (
        Say("Was a human involved, and could they overrule?", "是否有人工介入？能否推翻模型结论？"),
        same("EU AI Act 14"),
    ),
    14: (
        Say("Which data, code and jobs made a model version?", "某一模型版本由哪些数据、代码和作业形成？"),
        same("SR 26-2"),
    ),
    15: (Say("Who looked at or exported logs?", "谁查阅或导出过日志？"), same("ISO 27001 A.8.15")),
    16: (Say("What did privileged administrators do?", "特权管理员做过哪些操作？"), same("ISO 27001 A.8.15")),
    17: (
        Say("What are the legal basis and the retention of each data set?", "各数据集的合法性基础与保存期限是什么？"),
        Say("GDPR 30, credit-reporting measures 12", "GDPR 第 30 条、《征信业务管理办法》第 12 条"),
    ),
    18: (Say("Were erasures carried out in time?", "删除请求是否按期执行？"), same("GDPR 17")),
    19: (Say("Was logging ever down?", "日志记录是否曾中断？"), same("DORA RTS 2024/1774, 12")),
    20: (Say("Are the times trustworthy?", "时间是否可信？"), same("ISO 27001 A.8.17")),
    21: (Say("Which keys were valid when, and was any compromised?", "各密钥何时有效？是否有密钥失陷？"), same("DORA")),
    22: (
        Say("Was there a security incident; when was somebody told?", "是否发生安全事件？何时作出通知？"),
        Say("PIPL 57, GDPR 33", "《个人信息保护法》第 57 条、GDPR 第 33 条"),
    ),
}

LIMITS: tuple[tuple[Say, Say], ...] = (
    (
        Say("Provable", "可以证明"),
        Say(
            "that nothing recorded was removed or changed, from the first checkpoint somebody else holds to the last; "
            "that every recorded payload was of a masked kind and every recorded cohort reached its floor; "
            "that the given "
            "logs never show enough shares to take a member's masks off.",
            "自他方持有的首个检查点至最后一个检查点之间，已登记的内容未被移除或改动；"
            "已登记的每份载荷均属带掩码的类型，"
            "已登记的参与机构数均达到下限；所提供的日志合在一起，不足以解除任一成员的掩码。",
        ),
    ),
    (
        Say("Not provable", "无法证明"),
        Say(
            "that something was recorded at all. This rests on nodes that send nothing before it is recorded, "
            "on comparing "
            "both sides, and on the network's own counters. “Never in the clear” is a statement about "
            "somebody's memory, "
            "and logs that collude can lie together.",
            "某一事件必定被登记。这依赖于“先登记、后外发”的节点软件、双方日志核对以及网络流量计数。"
            "“从未以明文出现”涉及他人内存中的状态，无法证明；串通的日志可以共同作假。",
        ),
    ),
    (
        Say("Claims, not proofs", "属于声明而非证明"),
        Say(
            "the parameters in a log. A node that lies about its noise is not caught by its log.",
            "日志中的各项参数。节点若虚报其所加噪声，日志本身无法发现。",
        ),
    ),
    (
        Say("Not promised", "不作承诺"),
        Say(
            "that a bank used honest data; that no unrecorded byte left a machine whose owner replaced the software.",
            "银行使用了真实数据；机器所有者更换软件后，没有未登记的字节离开该机器。",
        ),
    ),
    (
        Say("About this page", "关于本报告"),
        Say(
            "it is a reading aid; the logs and the keys are the evidence. Records marked † are under no "
            "checkpoint and "
            "prove nothing yet. Rules are named as pointers; nothing here is legal advice.",
            "本报告仅便于阅读，日志与公钥才是证据。标有 † 的记录尚无检查点覆盖，暂不具证明力。"
            "所列法规仅为指引，不构成法律意见。",
        ),
    ),
)

STATUS_WORDS: dict[Status, Say] = {
    "clear": Say("nothing to object", "无异议"),
    "attention": Say("look at this", "需关注"),
    "partial": Say("answered in part", "部分回答"),
    "listed": Say("facts listed", "事实列示"),
    "none": Say("no record", "无记录"),
}

STATUS_MARKS: dict[Status, str] = {"clear": "✓", "attention": "✗", "partial": "◐", "listed": "≡", "none": "–"}


class PAGE:
    """The report's fixed sentences."""

    title = Say("Privacy log: auditor's report", "隐私日志合规审计报告")
    made = Say("Made", "生成时间")
    version = Say("by creditmesh-audit", "生成工具 creditmesh-audit")
    valid = Say("Verification passed", "完整性验证通过")
    incomplete = Say("Verification incomplete", "完整性验证不完整")
    failed = Say("Verification FAILED: do not rely on the answers below", "完整性验证未通过：以下答复不可采信")
    logs = Say("Logs read", "所读日志")
    period = Say("Records from – to (UTC)", "记录起止（UTC）")
    root = Say("Root", "树根")
    under_checkpoint = Say("Under checkpoint", "检查点覆盖")
    key_origin = Say("Key", "公钥来源")
    key_own = Say("came with the log", "随日志提供")
    key_pinned = Say("held by the auditor", "审计方自持")
    limits = Say("What this report can and cannot show", "本报告能证明与不能证明的事项")
    overview = Say("The 22 questions at a glance", "二十二问一览")
    number = Say("No.", "序号")
    question = Say("Question", "问题")
    answer = Say("Answer", "答复")
    finding = Say("Finding", "结论")
    asked_by = Say("Asked under", "关联规则")
    evidence = Say("Evidence of the rows", "各行凭证")
    evidence_text = Say(
        "Every row above names the record it rests on. The leaf hash is SHA-256 over a zero byte and the "
        "record's exact "
        "bytes (RFC 6962). A proof is a C2SP tlog-proof file: the record, its path, and the signed checkpoint.",
        "以上各行均注明所依据的记录。叶哈希为零字节与记录原始字节串接后的 SHA-256（RFC 6962）。"
        "凭证文件采用 C2SP tlog-proof 格式，含记录原文、树中路径与已签名的检查点。",
    )
    check = Say("Check it yourself", "自行核验")
    check_text = Say(
        "With nothing but the logs, the public keys and this tool, without any network:",
        "仅凭日志、公钥与本工具，无需联网：",
    )
    leaf = Say("Leaf hash (SHA-256)", "叶哈希（SHA-256）")
    record = Say("Record", "记录序号")
    download = Say("proof", "凭证")
    no_proof = Say("no checkpoint yet", "尚无检查点")
    by_command = Say("by the command above", "以上方命令取得")
    to_top = Say("overview", "返回一览")
