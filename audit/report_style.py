"""The style of the auditor's report: a page for screens that prints on A4.

Colours keep a contrast of at least 4.5 to 1 on white. Nothing is loaded from anywhere; fonts are those of the reader's
machine, with names of Chinese ones of the three systems.
"""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light; --ink: #1b2430; --soft: #566071; --line: #d5dae1; --blue: #1f5fbf; --good: #0b6e4f;
  --bad: #b42318; --warn: #8a4b08; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #f4f5f7; color: var(--ink); font: 15px/1.6 "Segoe UI", Roboto, "Helvetica Neue", Arial,
  "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif; }
.page { max-width: 1000px; margin: 0 auto; padding: 24px 36px 64px; background: #fff; min-height: 100vh; }
.switch { position: absolute; opacity: 0; pointer-events: none; }
#language-en:checked ~ .page [lang="zh"], #language-zh:checked ~ .page [lang="en"] { display: none; }
.bar { display: flex; justify-content: flex-end; gap: 0; }
.bar label { cursor: pointer; padding: 3px 14px; border: 1px solid var(--line); font-size: 14px; }
#language-en:checked ~ .page label[for="language-en"], #language-zh:checked ~ .page label[for="language-zh"] {
  background: var(--ink); color: #fff; }
#language-en:focus-visible ~ .page label[for="language-en"], #language-zh:focus-visible ~ .page
  label[for="language-zh"] { outline: 3px solid var(--blue); outline-offset: 2px; }
h1 { font: 600 30px/1.25 Georgia, "Times New Roman", "Songti SC", "Noto Serif CJK SC", SimSun, serif;
  margin: 8px 0 4px; }
h2 { font: 600 21px/1.35 Georgia, "Times New Roman", "Songti SC", "Noto Serif CJK SC", SimSun, serif; margin: 0 0 8px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 0 0 8px; max-width: 84ch; }
.made, .asked, .small { color: var(--soft); font-size: 13px; }
.banner { border: 2px solid; border-radius: 6px; padding: 10px 16px; margin: 14px 0; }
.banner strong { font-size: 19px; }
.banner p { margin: 2px 0 0; }
.banner.good { border-color: var(--good); background: #eef7f3; } .banner.good strong { color: var(--good); }
.banner.warn { border-color: var(--warn); background: #fdf5ea; } .banner.warn strong { color: var(--warn); }
.banner.bad { border-color: var(--bad); background: #fdf0ee; } .banner.bad strong { color: var(--bad); }
.limits { margin: 6px 0 0; } .limits dt { font-weight: 600; float: left; clear: left; width: 11em; padding-right: 1em; }
.limits dd { margin: 0 0 5px 11em; }
.question { border-top: 2px solid var(--ink); margin-top: 34px; padding-top: 12px; }
.question h2 .number { color: var(--soft); margin-right: 10px; }
.verdict { font-size: 15.5px; border-left: 4px solid; padding: 4px 12px; margin: 8px 0; }
.verdict p:first-child { font-weight: 600; }
.verdict p:last-child { margin: 0; }
.clear { color: var(--good); } .attention { color: var(--bad); } .partial { color: var(--warn); }
.listed { color: var(--blue); } .none { color: var(--soft); }
.verdict p, td a { color: var(--ink); } .verdict .chip { color: inherit; }
.chip { font-weight: 600; font-size: 13px; white-space: nowrap; }
.scroll { overflow-x: auto; margin: 4px 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 13px; line-height: 1.45;
  font-variant-numeric: tabular-nums; }
table.narrow { width: auto; min-width: 300px; }
caption { text-align: left; font-weight: 600; font-size: 14px; padding: 12px 0 4px; }
th, td { padding: 4px 8px 4px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: break-word; mso-number-format: "\\@"; }
thead th { color: var(--soft); font-weight: 600; font-size: 12px; border-bottom: 1.5px solid #8d96a3;
  vertical-align: bottom; }
th { min-width: 3.3em; } thead th:first-child { min-width: 0; }
td.number, th.number { text-align: right; white-space: nowrap; padding-right: 14px; }
td.proof, td.moment { white-space: nowrap; }
td .part { display: block; }
bdi { overflow-wrap: anywhere; } bdi.word { overflow-wrap: normal; white-space: nowrap; }
td code { white-space: nowrap; } .evidence td code { white-space: normal; }
code { font: 12px/1.4 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { font: 12.5px/1.55 ui-monospace, Menlo, Consolas, monospace; background: #f4f5f7; border: 1px solid var(--line);
  padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0; }
.capped { color: var(--soft); font-size: 12.5px; margin: 4px 0 0; }
figure { margin: 12px 0 4px; max-width: 760px; break-inside: avoid; }
figcaption { font-weight: 600; font-size: 14px; margin-bottom: 4px; }
svg { width: 100%; height: auto; display: block; }
svg text { font-family: "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", "Microsoft YaHei",
  "Noto Sans CJK SC", "Noto Sans SC", sans-serif; }
a { color: var(--blue); }
.overview td:first-child, .overview th { white-space: nowrap; }
.overview td:nth-child(2) { width: 36%; }
.evidence td { padding-top: 2px; padding-bottom: 2px; }
@page { size: A4; margin: 15mm 13mm 17mm; @bottom-right { content: counter(page) " / " counter(pages);
  font: 9pt sans-serif; color: #566071; } }
@media print {
  body { background: #fff; font-size: 9.5pt; line-height: 1.45; }
  .page { max-width: none; padding: 0; }
  .bar, .switch, .top { display: none; }
  h1 { font-size: 19pt; } h2 { font-size: 13pt; } .banner strong { font-size: 13pt; }
  table { font-size: 7.4pt; } caption, figcaption { font-size: 9pt; } thead th { font-size: 7.5pt; }
  code { font-size: 6.9pt; } .limits, .banner p { font-size: 8.8pt; line-height: 1.4; }
  .limits dd { margin-bottom: 3px; }
  .small, .made, .asked, .capped, .chip { font-size: 8pt; } td .chip { font-size: 7.4pt; } .verdict { font-size: 10pt; }
  thead { display: table-header-group; } tr, .verdict, .banner { break-inside: avoid; }
  tbody tr:first-child { break-before: avoid; }
  h2, h3, caption, .asked, figcaption { break-after: avoid; }
  .scroll { overflow: visible; } .newpage { break-before: page; } .question { margin-top: 20px; }
  figure { max-width: 165mm; }
  a { color: inherit; text-decoration: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
@media screen and (max-width: 700px) {
  .page { padding: 14px; } .limits dt { float: none; } .limits dd { margin-left: 0; }
}
"""
