"""The short texts that charts, tables and the terminal share, in English and Chinese.

Whole sentences stand where they are used, in both languages side by side; this module holds only labels. Theory: one
key names one idea, and a key without both languages cannot be written, because the pair is the value.
"""

from typing import Literal

__all__ = ["DIMENSION_NAMES", "LABELS", "LANGUAGES", "REASON_COLOURS", "WHY", "Language", "say", "signed"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

DIMENSION_NAMES: dict[str, dict[Language, str]] = {
    "operating": {"en": "Operating", "zh": "经营"},
    "credit": {"en": "Credit", "zh": "信用"},
    "behaviour": {"en": "Behaviour", "zh": "行为"},
    "scenario": {"en": "Scenario", "zh": "场景"},
}

LABELS: dict[str, tuple[str, str]] = {
    "own": ("own model", "本行模型"),
    "network": ("network model", "网络模型"),
    "mixed": ("mixed", "混合模型"),
    "own_model": ("bank's own model", "各行自有模型"),
    "network_model": ("network model", "网络模型"),
    "newcomer_rows": ("training rows of its own", "自有训练样本数"),
    "auc_axis": ("AUC on hold-out rows", "留出样本 AUC"),
    "alone": ("without secure aggregation", "无安全聚合"),
    "no_noise": ("without noise", "无噪声"),
    "epsilon_axis": ("epsilon (smaller: more privacy)", "ε（越小隐私越强）"),
    "start": ("Start", "起始分"),
    "score": ("Score", "总分"),
    "scorecard": ("Scorecard", "评分卡"),
    "trees": ("Boosted trees", "提升树"),
    "towers": ("Four towers", "四塔网络"),
    "goods_refused": ("share of good loans turned away", "被拒的好客户占比"),
    "bads_caught": ("share of bad loans caught", "识别出的坏客户占比"),
    "bads_cumulative": ("bad loans", "坏客户累计"),
    "goods_cumulative": ("good loans", "好客户累计"),
    "applicants_worst_first": ("share of applicants, worst score first", "申请人占比（从低分到高分）"),
    "predicted": ("predicted probability of default", "预测违约概率"),
    "observed": ("observed bad rate", "实际坏账率"),
    "kilobytes_sent": ("kB sent by the node", "节点发出的千字节数"),
    "setup": ("joining and keys", "加入与密钥"),
    "sketch": ("cutting fields into bins", "字段分箱"),
    "counts": ("good and bad counts per bin", "各箱好坏计数"),
    "training": ("training steps", "训练迭代"),
    "measuring": ("measuring quality", "效果评估"),
    "halves": ("half-data runs for the private mix", "私有混合所需的半数据训练"),
    "consent": ("votes and key shares", "投票与密钥分片"),
    "verifying": ("verifying sums", "验证求和"),
    "other": ("other protocol messages", "其他协议消息"),
}


REASON_COLOURS = {
    "setup": "#1b2430",
    "sketch": "#1f5fbf",
    "counts": "#7fa6e0",
    "training": "#0f766e",
    "measuring": "#b45309",
    "halves": "#dda15e",
    "consent": "#7c3aed",
    "verifying": "#c026d3",
    "other": "#8a8f98",
}

WHY: dict[str, tuple[str, str]] = {
    "setup": (
        "answers to an offer and signed public keys; nothing about borrowers",
        "对任务邀请的答复与签名公钥；不含任何借款人信息",
    ),
    "sketch": (
        "masked counts of rows in ever finer intervals of each field, so that all banks cut fields alike",
        "各字段逐步细分区间的行数（加掩码），使各机构采用相同分箱",
    ),
    "counts": (
        "masked counts of good and bad loans per bin, for the weight of evidence",
        "各箱好坏客户数（加掩码），用于计算证据权重",
    ),
    "training": (
        "masked sums of what each training step needs: gradients and curvature, or changes of a network's weights",
        "每步训练所需的合计（加掩码）：梯度与曲率，或网络权重的变化",
    ),
    "measuring": (
        "masked histograms of scores on hold-out and training rows",
        "留出样本与训练样本的得分直方图（加掩码）",
    ),
    "halves": (
        "the same training on each half of the training rows, which the private mix is weighed by",
        "在训练样本两半上各训练一次，供私有混合确定权重",
    ),
    "consent": (
        "a signed vote per sum, and shares of one-time keys that let only the agreed sum be opened",
        "每次求和的签名投票，以及只能打开约定合计的一次性密钥分片",
    ),
    "verifying": (
        "a signature on the sum that a member recomputed from all masked parts",
        "成员根据全部掩码部分重新计算合计后的签名",
    ),
    "other": ("whatever else the protocol needed", "协议所需的其他消息"),
}


def say(key: str, language: Language) -> str:
    """Return a label; an unknown key, such as a recipe of a later release, stands for itself."""
    pair = LABELS.get(key)
    if pair is None:
        return key
    return pair[0] if language == "en" else pair[1]


def signed(points: int) -> str:
    """Return points with their sign, a true minus, and 0 without one."""
    return "0" if points == 0 else f"{points:+d}".replace("-", "−")
