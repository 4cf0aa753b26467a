"""Say in plain words who gains from the network and who does not, from the figures alone.

Theory: a difference counts as clear when its 95 % interval (DeLong, paired on the same rows) leaves out zero; all else
is called no clear difference, in whichever direction the point estimate leans. Nothing here is written for a
particular room: a network that helps nobody gets a headline that says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from creditmesh_demo.page.texts import LANGUAGES, Language, say
from creditmesh_demo.page.view import BankRow, Contrast, RecipeView, Verdict

__all__ = ["Statement", "headline", "mean", "statements"]

MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold one finding in both languages; tone colours its mark, the leads name it in a few words."""

    tone: Literal["gains", "even", "loses"]
    en: str
    zh: str
    lead_en: str = ""
    lead_zh: str = ""


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


def statements(recipe: RecipeView, others: Sequence[RecipeView] = ()) -> tuple[Statement, ...]:
    """Return the findings behind the headline: market, own customers, the mix, what was chosen, other recipes."""
    found = [_market(recipe), _own_customers(recipe), _mixed(recipe), _chosen(recipe)]
    found += [_beside(recipe, other) for other in others]
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
        f"On the hold-out rows of all members, mostly borrowers whom a single bank has never met, AUC goes "
        f"from {own:.3f}, the mean of the banks' own models, to {network:.3f}. {counts_en}.",
        f"在所有成员的留出样本上（对单家机构而言多为未曾服务过的借款人），AUC 从各行自有模型的平均 {own:.3f} "
        f"变为网络模型的 {network:.3f}。{counts_zh}。",
        "The market",
        "整个市场",
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
        f"The network's model alone takes the mean AUC from {own:.3f} to {network:.3f}. {counts_en}.{advice_en}",
        f"仅用网络模型时平均 AUC 由 {own:.3f} 变为 {network:.3f}。{counts_zh}。{advice_zh}",
        "A bank's own customers",
        "本行存量客户",
    )


def _mixed(recipe: RecipeView) -> Statement | None:
    tally = _tally(recipe.banks, "own_mixed")
    own, mixed = mean(recipe.banks, "auc_own"), mean(recipe.banks, "auc_mixed")
    if not tally.known or own is None or mixed is None:
        return None
    counts_en, counts_zh = _counts(tally)
    return Statement(
        _tone(tally),
        f"Each bank mixes the two scores privately, weighted by evidence from its own training rows: mean AUC "
        f"{mixed:.3f} against {own:.3f} with the own model. {counts_en}.",
        f"各机构依据本行训练样本的证据，在行内私下混合两个评分：平均 AUC 为 {mixed:.3f}，自有模型为 {own:.3f}。"
        f"{counts_zh}。",
        "Both together",
        "两者结合",
    )


def _chosen(recipe: RecipeView) -> Statement | None:
    chosen = [bank.figures["chosen"] for bank in recipe.banks if bank.figures["chosen"] is not None]
    if not chosen:
        return None
    count = {name: chosen.count(name) for name in ("mixed", "network", "own")}
    return Statement(
        "even",
        f"By its training rows alone, never by the hold-out: the mix at {count['mixed']}, the network's model at "
        f"{count['network']}, its own model at {count['own']} of {len(chosen)} banks.",
        f"仅依据训练样本而非留出样本：{len(chosen)} 家机构中，{count['mixed']} 家选混合模型，"
        f"{count['network']} 家选网络模型，{count['own']} 家选自有模型。",
        "What each bank would use",
        "各机构的选择",
    )


def _beside(lead: RecipeView, other: RecipeView) -> Statement | None:
    figures = [mean(other.banks, f"auc_{name}") for name in ("own", "network", "mixed")]
    if not lead.entry or not other.entry or any(value is None for value in figures):
        return None
    first, second = lead.entry["network"]["auc"], other.entry["network"]["auc"]
    if first is None or second is None:
        return None
    own, network, mixed = (f"{value:.3f}" for value in figures)
    first_en, first_zh, second_en, second_zh = (
        say(recipe.name, language) for recipe in (lead, other) for language in LANGUAGES
    )
    return Statement(
        "gains" if second > first else "even",
        f"On the market its network model reaches AUC {second:.3f}, the {first_en.lower()} {first:.3f}. On own "
        f"customers the mean goes from {own} (own) to {network} (network) and {mixed} (mixed).",
        f"其网络模型的市场 AUC 为 {second:.3f}，{first_zh}为 {first:.3f}。在本行客户上，平均 AUC 为自有 {own}、"
        f"网络 {network}、混合 {mixed}。",
        second_en,
        second_zh,
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
    """Return how many banks it is clearly better, not clearly different, clearly worse for, with names while few."""
    kinds = (
        (tally.gains, "Clearly better", "明显更好"),
        (tally.even, "no clear difference", "无明显差别"),
        (tally.loses, "clearly worse", "明显更差"),
    )
    english = "; ".join(f"{label}: {_named(names, tally.known, 'en')}" for names, label, _ in kinds)
    chinese = "；".join(f"{label}：{_named(names, tally.known, 'zh')}" for names, _, label in kinds)
    return english, chinese


def _named(names: tuple[str, ...], known: int, language: Language) -> str:
    if not names:
        return "no bank" if language == "en" else "无"
    if len(names) == known:
        return f"all {known} banks" if language == "en" else f"全部 {known} 家"
    listed = ", ".join(names) if language == "en" else "、".join(names)
    if language == "en":
        count = f"{len(names)} bank{'s' if len(names) > 1 else ''}"
        return f"{count} ({listed})" if len(names) <= MOST_NAMES else count
    return f"{len(names)} 家（{listed}）" if len(names) <= MOST_NAMES else f"{len(names)} 家"
