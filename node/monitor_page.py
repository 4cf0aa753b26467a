"""The monitoring report as one page: charts with their tables, in Chinese and English, without scripts.

It computes nothing; every figure stands in the report. Theory: a page that a validator reads and prints has to be whole
by itself: one file, no link, no font and no picture from outside, and nothing in it that was not in the report.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from node.monitor_charts import Line, bars, lines

__all__ = ["monitor_page"]

_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;color:#1b2430;margin:0 auto;max-width:760px;padding:16px}
h1{font-size:1.5em;margin:.2em 0}h2{font-size:1.15em;margin:1.6em 0 .4em;border-bottom:1px solid #d5dae1}
table{border-collapse:collapse;width:100%;margin:.6em 0;font-size:.9em}
th,td{border-bottom:1px solid #d5dae1;padding:4px 8px;text-align:right}
th:first-child,td:first-child{text-align:left}.fires{color:#b42318;font-weight:600}.soft{color:#566071}
.wide{overflow-x:auto}svg{width:100%;height:auto}
"""
_NOTE = (
    "Performance is told of matured decisions alone, and so of approved applicants: their AUC is lower than that of "
    "all who applied. 表现仅依据到期且已知结果的贷款（即已批准者），其AUC低于全部申请人的AUC。"
)
_PERFORMANCE = (
    ("rows", "matured decisions 到期决策数"),
    ("bads", "bad 违约数"),
    ("bad_rate", "bad rate 违约率"),
    ("mean_pd", "mean PD 平均违约概率"),
    ("auc", "AUC"),
    ("auc_error", "standard error of AUC AUC标准误"),
    ("gini", "Gini 基尼系数"),
    ("ks", "KS"),
    ("brier", "Brier score 布里尔分"),
    ("ece", "calibration error 校准误差"),
    ("p_value", "p-value of calibration 校准检验p值"),
)
_BANDS = {"stable": "stable 稳定", "watch": "watch 关注", "act": "act 处置"}


def monitor_page(member: str, report: Mapping[str, Any]) -> str:
    """Return the page of a report that `node.monitor` made."""
    model = report["model"]
    body = [
        f"<h1>{_say(member)} · Model monitoring 模型监测</h1>",
        f'<p class="soft">{_say(report["as_of"])} · {_say(model["kind"])} · {_say(model["recipe"])} · '
        f"{_say(model['sha256'][:16])}</p>",
        *_rules(report),
        *_performance(report),
        *_drift(report),
        *_approvals(report),
        *_overrides(report),
    ]
    title = f"{_say(member)} · model monitoring"
    return (
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _rules(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for rule in report["rules"]:
        verdict = '<span class="fires">fires 触发</span>' if rule["fired"] else "quiet 未触发"
        value = "too few rows 样本不足" if rule["value"] is None else _figure(rule["value"])
        rows.append([f"{_say(rule['text'])}<br>{_say(rule['text_zh'])}", value, _figure(rule["limit"]), verdict])
    word = (
        "A rule fires: train again. 有规则触发，建议重新训练。" if report["retrain"] else "No rule fires. 无规则触发。"
    )
    heads = ("rule 规则", "figure 数值", "limit 界限", "")
    return ["<h2>Train again? 是否重新训练</h2>", f"<p>{word}</p>", _table(heads, rows)]


def _performance(report: Mapping[str, Any]) -> list[str]:
    found, outcomes = report["performance"], report["outcomes"]
    counts = (
        f"{report['decisions']} decisions 决策, {outcomes['known']} outcomes known 已知结果, "
        f"{outcomes['matured']} matured 已到期, {outcomes['waiting']} waiting for theirs 待结果"
    )
    parts = ["<h2>Performance 模型表现</h2>", f"<p>{counts}</p>", f'<p class="soft">{_NOTE}</p>']
    if found is None:
        return parts
    rows = [[label, _figure(found[name])] for name, label in _PERFORMANCE]
    rows.append(["AUC at release 发布时AUC", _figure(report["benchmark_auc"])])
    parts.append(_table(("figure 指标", ""), rows))
    groups = found["calibration"]
    labels = [str(place) for place in range(1, len(groups) + 1)]
    seen = [group["bads"] / group["rows"] for group in groups]
    expected = [group["mean_pd"] for group in groups]
    title = "Calibration by tenths of PD 按违约概率分组的校准"
    parts.append(lines(title, labels, [Line("observed 实际", seen), Line("expected 预期", expected)]))
    listed = [
        [label, str(group["rows"]), str(group["bads"]), _figure(rate), _figure(group["mean_pd"])]
        for label, group, rate in zip(labels, groups, seen, strict=True)
    ]
    parts.append(_table(("group 组", "rows 行数", "bad 违约", "observed 实际", "expected 预期"), listed))
    graded = [
        [_say(each["grade"]), str(each["rows"]), str(each["bads"]), _figure(each["rate"]), _figure(each["pd"]),
         _figure(each["p_value"]), _say(each["finding"] or "")]
        for each in report["grades"]
    ]  # fmt: skip
    heads = ("grade 等级", "rows 行数", "bad 违约", "rate 违约率", "PD", "p", "finding 结论")
    parts.append(_table(heads, graded))
    return parts


def _drift(report: Mapping[str, Any]) -> list[str]:
    found = report["drift"]
    parts = ["<h2>Drift 漂移</h2>"]
    if found is None:
        return [*parts, "<p>The model froze no reference, or nothing was decided. 模型未附参考分布或尚无决策。</p>"]
    months, fields = found["months"], found["fields"]
    score = found["score"]
    parts.append(
        f"<p>PSI {_figure(score['psi'])} · {_BANDS.get(score['band'], '')} · "
        f"{found['rows']} decisions of the last three months 近三个月决策</p>"
    )
    title = "PSI of the score by month 各月评分PSI"
    parts.append(
        lines(title, [each["month"] for each in months], [Line("PSI", [each["psi"] for each in months])], (0.1, 0.25))
    )
    rows = [[_say(each["month"]), str(each["rows"]), _figure(each["psi"])] for each in months]
    parts.append(_table(("month 月份", "decisions 决策", "PSI"), rows))
    names = [each["name"] for each in fields]
    title = "CSI by field 各字段CSI"
    parts.append(bars(title, names, [each["psi"] or 0.0 for each in fields], (0.1, 0.25)))
    rows = [[_say(each["name"]), _figure(each["psi"]), _BANDS.get(each["band"], "")] for each in fields]
    return [*parts, _table(("field 字段", "CSI", ""), rows)]


def _approvals(report: Mapping[str, Any]) -> list[str]:
    months = report["months"]
    rates = [each["approval_rate"] for each in months]
    observed = [each["bads"] / each["matured"] if each["matured"] else None for each in months]
    series = [Line("approved 批准率", rates), Line("bad of matured 到期违约率", observed)]
    names = ("decisions", "approve", "refer", "decline")
    rows = [
        [_say(each["month"]), *(str(each[name]) for name in names), _figure(each["approval_rate"]),
         str(each["matured"]), str(each["bads"])]
        for each in months
    ]  # fmt: skip
    heads = ("month 月份", "decided 决策", "approved 批准", "referred 转人工", "declined 拒绝", "rate 批准率",
             "matured 到期", "bad 违约")  # fmt: skip
    chart = lines("Approval by month 各月批准率", [each["month"] for each in months], series)
    return ["<h2>Approvals by month 各月批准情况</h2>", chart, _table(heads, rows)]


def _overrides(report: Mapping[str, Any]) -> list[str]:
    found = report["overrides"]
    parts = [
        "<h2>Overrides 人工改判</h2>",
        f"<p>{found['decisions']} changed by people 人工改判数, share 占比 {_figure(found['rate'])}</p>",
    ]
    rows = [[_say(way), str(count)] for way, count in found["directions"].items()]
    if rows:
        parts.append(_table(("from and to 改判方向", "decisions 决策"), rows))
    groups = (
        ("approved_by_people", "approved by people 人工批准"),
        ("approved_by_model", "approved by the model 模型批准"),
    )
    listed = [
        [label, str(found[key]["matured"]), str(found[key]["bads"]), _figure(found[key]["bad_rate"]),
         _figure(found[key]["mean_pd"])]
        for key, label in groups
    ]  # fmt: skip
    return [*parts, _table(("", "matured 到期", "bad 违约", "bad rate 违约率", "mean PD 平均违约概率"), listed)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _say(text: object) -> str:
    return html.escape(str(text))
