"""What a model card says, in English and Chinese; it holds no figure.

Theory: one place for all sentences, so that neither language has one that the other lacks.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ANSWERS",
    "BANDS",
    "DIMENSIONS",
    "NOT_FOR",
    "REASONS",
    "ROLES",
    "SELECTIONS",
    "STATES",
    "Text",
    "say",
    "text",
]


@dataclass(frozen=True, slots=True)
class Text:
    """One statement in both languages."""

    en: str
    zh: str


def text(value: str) -> Text:
    """Return a value that reads the same in both languages."""
    return Text(value, value)


_TEXTS: Final = {
    "title": Text("Model card: {kind} {sha}", "模型卡：{kind} {sha}"),
    "purpose-title": Text("Purpose", "用途"),
    "purpose": Text(
        "Rank small-business loan applicants by the probability that the loan goes bad, within the purpose {purpose} "
        "that every member's permit names.",
        "在各成员许可的用途 {purpose} 范围内，按贷款变为不良的概率对小微企业贷款申请人排序。",
    ),
    "status": Text("Standing: {role}.", "当前地位：{role}。"),
    "target": Text("Bad means: {meaning}.", "“不良”的定义：{meaning}。"),
    "window": Text("The outcome is observed over {months} months.", "表现期为 {months} 个月。"),
    "not-for-title": Text("What it must not be used for", "禁止用途"),
    "rows-title": Text("What it rests on", "数据基础"),
    "rows-stay": Text(
        "Rows never left their bank: the model follows from sums over all members.",
        "数据行从未离开各自的银行：模型仅由全体成员的加总得出。",
    ),
    "rows-noisy": Text("Counts bear noise, as the privacy promise demands.", "按隐私承诺，计数均含噪声。"),
    "members": Text("Members", "参与成员"),
    "training-rows": Text("Rows it was trained on", "训练样本数"),
    "training-bads": Text("Bad ones among them", "其中不良"),
    "holdout-rows": Text("Rows held out", "留出样本数"),
    "holdout-bads": Text("Bad ones among them", "其中不良"),
    "months": Text("Months of the rows", "数据月份"),
    "dictionary": Text("Data dictionary", "数据字典"),
    "fact": Text("Fact", "事项"),
    "value": Text("Value", "值"),
    "unknown": Text("not known", "未知"),
    "fields-title": Text("Fields that it uses", "入模字段"),
    "fields-count": Text("{count} fields.", "共 {count} 个字段。"),
    "field": Text("Field", "字段"),
    "meaning": Text("Meaning", "含义"),
    "dimension": Text("Dimension", "维度"),
    "value-iv": Text("Information value", "信息值（IV）"),
    "dropped-title": Text("Fields that were dropped, and why", "剔除字段及原因"),
    "dropped-none": Text("No declared field was dropped.", "未剔除任何已声明字段。"),
    "why": Text("Why", "原因"),
    "figures-title": Text("How good it is", "效果"),
    "figures-none": Text("No figure was measured on held-out rows.", "未在留出样本上测得指标。"),
    "figures-of": Text(
        "Measured once over {rows} held-out rows of all members, {bads} of them bad.",
        "在全体成员的 {rows} 条留出样本（其中不良 {bads} 条）上测得。",
    ),
    "figures-noise": Text(
        "Noise was added for privacy: the AUC has a standard deviation of {deviation}, of rows and noise together.",
        "为保护隐私加入了噪声：AUC 的标准差为 {deviation}（含样本与噪声）。",
    ),
    "figures-limit": Text(
        "The held-out rows are of the same months and lenders as the training rows, so they say nothing about later "
        "months, other lenders, or applicants who were refused.",
        "留出样本与训练样本同属一段时间、同一批机构，因此不能说明之后月份、其他机构或被拒申请人的情况。",
    ),
    "figures-later": Text(
        "The model was trained on rows up to {until} and measured on later ones of the same lenders; of other lenders, "
        "or applicants who were refused, that says nothing.",
        "模型以 {until} 及之前的样本训练，并在同一批机构之后月份的样本上测得指标；不能说明其他机构或被拒申请人的情况。",
    ),
    "figures-unaudited": Text(
        "No validation job has looked at it yet: out-of-time, drift and fairness are not known.",
        "尚无验证作业检验过本模型：跨时间表现、漂移与公平性未知。",
    ),
    "figures-below": Text("Validation jobs follow below.", "验证作业的结果见下文。"),
    "figure": Text("Figure", "指标"),
    "figure-auc": Text("AUC (chance that a bad loan ranks above a good one)", "AUC（不良排在正常之前的概率）"),
    "figure-gini": Text("Gini", "基尼系数"),
    "figure-ks": Text("KS (largest gap between the two distributions)", "KS（两分布的最大差距）"),
    "figure-brier": Text("Brier score", "Brier 分数"),
    "figure-ece": Text("Expected calibration error", "期望校准误差（ECE）"),
    "figure-psi": Text("PSI of scores, against the training rows", "评分 PSI（相对训练样本）"),
    "validation-title": Text("Validation", "验证"),
    "validation-of": Text(
        "Job {job}, rows selected: {selection}, {rows} rows.", "作业 {job}，样本范围：{selection}，共 {rows} 条。"
    ),
    "grades-rise": Text("Default rates rise from grade to grade.", "各评级的违约率逐级上升。"),
    "grades-fall": Text("Default rates do not rise from grade to grade everywhere.", "各评级的违约率并非逐级上升。"),
    "moved-most": Text(
        "The field that moved most is {field}: PSI {psi} ({band}).", "漂移最大的字段为 {field}：PSI {psi}（{band}）。"
    ),
    "stability": Text(
        "Over {count} periods the lowest AUC is {auc}, in {period}.", "{count} 个时段中 AUC 最低为 {auc}（{period}）。"
    ),
    "segments-title": Text("Segments", "分群公平性"),
    "segments-none": Text(
        "The data dictionary declares no segment, so job {job} compared none.",
        "数据字典未声明分群字段，作业 {job} 未作比较。",
    ),
    "segments-of": Text(
        "Job {job} compared approval at its cut-off; a ratio below 0.8 of the best segment fails the four-fifths rule.",
        "作业 {job} 在其临界点比较通过率；低于最佳分群 0.8 倍者不满足五分之四规则。",
    ),
    "segment": Text("Segment", "分群"),
    "rows": Text("Rows", "样本数"),
    "approval-ratio": Text("Approval, against the best", "通过率（相对最佳）"),
    "four-fifths": Text("Four-fifths rule", "五分之四规则"),
    "withheld": Text("{count} with too few rows to be shown", "{count} 个分群样本过少，不予显示"),
    "yes": Text("met", "满足"),
    "no": Text("not met", "不满足"),
    "compared-title": Text("Champion against challenger", "冠军与挑战者"),
    "compared": Text(
        "Job {job} scored two models in shadow on the same rows; this one was the {role}.",
        "作业 {job} 在相同样本上对两个模型作影子评分；本模型为其中的{role}。",
    ),
    "test": Text("Test", "检验项"),
    "met": Text("Met", "是否满足"),
    "found": Text("Found", "结果"),
    "privacy-title": Text("What is promised about privacy", "隐私承诺"),
    "privacy-sums": Text(
        "Nobody saw a member's part: only sums over at least four members were opened.",
        "任何一方都看不到单个成员的贡献：只有至少四家成员的加总被打开。",
    ),
    "privacy-exact": Text(
        "The sums bear no noise, so there is no differential privacy: epsilon is not bounded.",
        "加总未加噪声，因此不具备差分隐私保证：ε 无上界。",
    ),
    "privacy-dp": Text(
        "Differential privacy of one borrower's rows at a member: epsilon {epsilon}, delta {delta}, over all the job.",
        "对单个成员处一名借款人数据的差分隐私：整个作业 ε = {epsilon}，δ = {delta}。",
    ),
    "privacy-unknown": Text("The job's manifest was not kept.", "作业的清单未保存。"),
    "signed-title": Text("Who signed it off", "签批"),
    "signed-none": Text("Nobody was asked to sign it off.", "尚未提请签批。"),
    "signed-needs": Text(
        "Proposal {number}: {quorum} of {members} banks must approve.",
        "提案 {number}：{members} 家银行中须有 {quorum} 家同意。",
    ),
    "proposal": Text("Proposal", "提案"),
    "role": Text("Role", "角色"),
    "state": Text("State", "状态"),
    "bank": Text("Bank", "银行"),
    "vote": Text("Vote", "表决"),
    "who": Text("Who", "签批人"),
    "when": Text("When (UTC)", "时间（UTC）"),
    "approved": Text("approved", "同意"),
    "rejected": Text("rejected: {reason}", "否决：{reason}"),
    "lineage-title": Text("Where it comes from", "血缘"),
    "lineage-none": Text("The job's manifest was not kept.", "作业的清单未保存。"),
    "lineage-by": Text(
        "Every digest is a SHA-256 that can be checked against the evidence pack.",
        "每个摘要均为 SHA-256，可与证据包核对。",
    ),
    "own-title": Text("At this bank", "本行结果"),
    "own-stays": Text(
        "These figures are of this bank's own rows; they never left it.", "以下为本行自有样本的指标，从未离开本行。"
    ),
}

NOT_FOR: Final = (
    Text(
        "To refuse an applicant without a person who can review it and without reasons that the applicant is told.",
        "不得在无人复核、未向申请人说明理由的情况下据此拒绝申请。",
    ),
    Text(
        "For another purpose than the permits name: no marketing, no hiring, no rating for the public.",
        "不得用于许可之外的用途：不得用于营销、招聘或公开评级。",
    ),
    Text(
        "For products, regions or borrowers that none of the members' rows cover.",
        "不得用于各成员样本未覆盖的产品、地区或借款人。",
    ),
    Text(
        "To learn about one borrower or one member: no question about a row or a bank may be put to it.",
        "不得用于推断某一借款人或某一成员的信息。",
    ),
    Text(
        "Once drift or calibration has left the limits that the members set, until it was validated again.",
        "漂移或校准超出成员设定的限度后，在重新验证之前不得使用。",
    ),
)

ROLES: Final = {
    "champion": Text("champion", "冠军模型"),
    "challenger": Text("challenger", "挑战者模型"),
    "released": Text("in no role", "未担任角色"),
    "pending": Text("pending: not released yet", "待发布"),
}

STATES: Final = {
    "open": Text("open", "待签批"),
    "asked": Text("open", "待签批"),
    "signed": Text("signed by this bank", "本行已签"),
    "promoted": Text("promoted", "已通过"),
    "rejected": Text("rejected", "已否决"),
    "superseded": Text("superseded", "已被取代"),
    "withdrawn": Text("withdrawn", "已撤回"),
}

ANSWERS: Final = {
    "promote": Text("The rule would promote the challenger.", "按规则可将挑战者提升为冠军。"),
    "keep": Text("The rule would keep the champion.", "按规则应保留冠军。"),
    "insufficient": Text("The rule cannot tell: figures are missing.", "指标不足，规则无法判断。"),
}

BANDS: Final = {"stable": Text("stable", "稳定"), "watch": Text("watch", "关注"), "act": Text("act", "须处置")}

SELECTIONS: Final = {
    "holdout": Text("held out of training", "留出样本"),
    "all": Text("all", "全部样本"),
    "months": Text("of some months", "指定月份"),
    "out-of-time": Text("after the last training month", "训练期之后"),
}

DIMENSIONS: Final = {
    "operating": Text("operating", "经营"),
    "credit": Text("credit", "信用"),
    "behaviour": Text("behaviour", "行为"),
    "scenario": Text("scenario", "场景"),
}

REASONS: Final = {
    "its bins merge to one": Text("its bins merge to one", "分箱合并为一"),
    "its information value is below the limit": Text("its information value is below the limit", "信息值低于下限"),
    "it is missing in every row": Text("it is missing in every row", "所有样本均缺失"),
    "too few rows outside one bin": Text("too few rows outside one bin", "单一分箱之外样本过少"),
}


def say(name: str, **values: "str | Text") -> Text:
    """Return a statement of that name with its places filled in."""
    found = _TEXTS[name]
    english = {key: value.en if isinstance(value, Text) else value for key, value in values.items()}
    chinese = {key: value.zh if isinstance(value, Text) else value for key, value in values.items()}
    return Text(found.en.format_map(english), found.zh.format_map(chinese))
