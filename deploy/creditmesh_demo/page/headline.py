"""Say in plain words who gains from the network and who does not, from the figures alone.

Theory: a difference counts as clear when its 95 % interval (DeLong, paired on the same rows) leaves out zero; all else
is called no clear difference, in whichever direction the point estimate leans. Nothing here is written for a
particular room: a network that helps nobody gets a headline that says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from creditmesh_demo.page.view import BankRow, Contrast, RecipeView, Verdict

__all__ = ["Statement", "headline", "mean", "statements"]

MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold one sentence or two in both languages; tone colours its mark."""

    tone: Literal["gains", "even", "loses"]
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class _Tally:
    """The banks by verdict, in the order of the table."""

    gains: tuple[str, ...]
    even: tuple[str, ...]
    loses: tuple[str, ...]

    @property
    def known(self) -> int:
        return len(self.gains) + len(self.even) + len(self.loses)


def headline(recipe: RecipeView | None) -> Statement:
    """Return the report's one-sentence finding."""
    if recipe is None:
        return Statement("loses", "No model was trained in this run.", "本次运行没有训练出模型。")
    tally = _tally(recipe.banks, "market")
    if tally.known and len(tally.gains) == tally.known:
        return Statement(
            "gains",
            f"Beyond its own customers, every one of the {tally.known} banks ranks risk better with the network.",
            f"面对本行以外的客户，全部 {tally.known} 家机构借助网络模型都能更准确地排序风险。",
        )
    if tally.gains:
        return Statement(
            "gains",
            f"Beyond its own customers, {len(tally.gains)} of {tally.known} banks "
            f"{'rank' if len(tally.gains) > 1 else 'ranks'} risk clearly better with the network.",
            f"面对本行以外的客户，{tally.known} 家机构中有 {len(tally.gains)} 家借助网络模型明显更准确地排序风险。",
        )
    return Statement(
        "even",
        "In this room the network's model is not clearly better than the banks' own models.",
        "在本数据室中，网络模型并不明显优于各机构自有模型。",
    )


def statements(recipe: RecipeView) -> tuple[Statement, ...]:
    """Return the findings behind the headline: the market, own customers, the private mix, what was chosen."""
    found = (_market(recipe), _own_customers(recipe), _mixed(recipe), _chosen(recipe))
    return tuple(statement for statement in found if statement is not None)


def mean(banks: Sequence[BankRow], key: str) -> float | None:
    """Return the plain mean of a figure over the banks that have it."""
    values = [float(bank.figures[key]) for bank in banks if bank.figures[key] is not None]
    return sum(values) / len(values) if values else None


def _market(recipe: RecipeView) -> Statement | None:
    tally, own = _tally(recipe.banks, "market"), mean(recipe.banks, "auc_own_market")
    network = recipe.entry["network"]["auc"] if recipe.entry else None
    if not tally.known or own is None or network is None:
        return None
    counts_en, counts_zh = _counts(tally)
    return Statement(
        _tone(tally),
        f"The market. On the hold-out rows of all members, mostly borrowers whom a single bank has never met, AUC goes "
        f"from {own:.3f}, the mean of the banks' own models, to {network:.3f}. Against its own model the network's is "
        f"{counts_en}.",
        f"整个市场。在所有成员的留出样本上（对单家机构而言多为未曾服务过的借款人），AUC 从各行自有模型的平均 {own:.3f} "
        f"变为 {network:.3f}。与自有模型相比，网络模型{counts_zh}。",
    )


def _own_customers(recipe: RecipeView) -> Statement | None:
    tally = _tally(recipe.banks, "own_network")
    own, network = mean(recipe.banks, "auc_own"), mean(recipe.banks, "auc_network")
    if not tally.known or own is None or network is None:
        return None
    counts_en, counts_zh = _counts(tally)
    advice_en, advice_zh = "", ""
    if network < own:
        advice_en = " An established bank should not simply swap its own model for the network's."
        advice_zh = "成熟机构不应直接用网络模型替换自有模型。"
    return Statement(
        _tone(tally),
        f"A bank's own customers. The network's model alone takes the mean AUC from {own:.3f} to {network:.3f}; it is "
        f"{counts_en}.{advice_en}",
        f"本行存量客户。仅用网络模型时平均 AUC 由 {own:.3f} 变为 {network:.3f}；{counts_zh}。{advice_zh}",
    )


def _mixed(recipe: RecipeView) -> Statement | None:
    tally = _tally(recipe.banks, "own_mixed")
    own, mixed = mean(recipe.banks, "auc_own"), mean(recipe.banks, "auc_mixed")
    if not tally.known or own is None or mixed is None:
        return None
    counts_en, counts_zh = _counts(tally)
    return Statement(
        _tone(tally),
        f"Both together. Each bank mixes the two scores privately, weighted by evidence from its own training rows: "
        f"mean AUC {mixed:.3f} against {own:.3f} with the own model; the mix is {counts_en}.",
        f"两者结合。各机构依据本行训练样本的证据，在行内私下混合两个评分：平均 AUC 为 {mixed:.3f}，自有模型为 "
        f"{own:.3f}；混合模型{counts_zh}。",
    )


def _chosen(recipe: RecipeView) -> Statement | None:
    chosen = [bank.figures["chosen"] for bank in recipe.banks if bank.figures["chosen"] is not None]
    if not chosen:
        return None
    count = {name: chosen.count(name) for name in ("mixed", "network", "own")}
    return Statement(
        "even",
        "What each bank would use. By its training rows alone, never by the hold-out: the mix at "
        f"{count['mixed']}, the network's model at {count['network']}, its own model at {count['own']} of "
        f"{len(chosen)} banks.",
        f"各机构的选择。仅依据训练样本而非留出样本：{len(chosen)} 家机构中，{count['mixed']} 家选混合模型，"
        f"{count['network']} 家选网络模型，{count['own']} 家选自有模型。",
    )


def _tally(banks: Sequence[BankRow], contrast: Literal["market", "own_network", "own_mixed"]) -> _Tally:
    names: dict[Verdict, list[str]] = {"gains": [], "even": [], "loses": []}
    for bank in banks:
        found: Contrast | None = getattr(bank, contrast)
        if found is not None:
            names[found.verdict].append(bank.bank)
    return _Tally(tuple(names["gains"]), tuple(names["even"]), tuple(names["loses"]))


def _tone(tally: _Tally) -> Literal["gains", "even", "loses"]:
    if len(tally.gains) > len(tally.loses):
        return "gains"
    return "loses" if tally.loses else "even"


def _counts(tally: _Tally) -> tuple[str, str]:
    kinds = (
        (tally.gains, "clearly better at {}", "在{}明显更好"),
        (tally.even, "without a clear difference at {}", "在{}无明显差别"),
        (tally.loses, "clearly worse at {}", "在{}明显更差"),
    )
    english = [en.format(_named(names, tally.known, "en")) for names, en, _ in kinds if names]
    chinese = [zh.format(_named(names, tally.known, "zh")) for names, _, zh in kinds if names]
    return ", ".join(english), "，".join(chinese)


def _named(names: tuple[str, ...], known: int, language: Literal["en", "zh"]) -> str:
    """Return how many banks, with their names while they are few."""
    if language == "zh":
        text = "全部机构" if len(names) == known else f" {len(names)} 家机构"
        return text + (f"（{'、'.join(names)}）" if len(names) <= MOST_NAMES and len(names) < known else "")
    text = f"all {known} banks" if len(names) == known else f"{len(names)} bank{'s' if len(names) > 1 else ''}"
    return text + (f" ({', '.join(names)})" if len(names) <= MOST_NAMES and len(names) < known else "")
