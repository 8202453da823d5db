"""How the report's page looks: light, dark and on paper, without anything from elsewhere."""

from typing import Final

STYLE: Final = """\
:root { color-scheme: light dark; --ink: #1f2933; --faint: #66717d; --paper: #ffffff; --rule: #d9dee3; --box: #fff4dc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --faint: #98a3ae; --paper: #15191d; --rule: #343b42; --box: #3a3018; }
}
@media print {
  :root { color-scheme: light; --ink: #000000; --faint: #555555; --paper: #ffffff; --rule: #bbbbbb; --box: #fff4dc; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 0.6rem; }
.lead h2 { font-size: 1rem; margin: 1.4rem 0 0.3rem; }
p, li, figcaption { max-width: 52rem; }
.lead > p { font-size: 1.06rem; }
.faint, caption, small { color: var(--faint); }
.faint { font-size: 0.92em; }
.box { background: var(--box); border-left: 4px solid #e69f00; padding: 0.7rem 1rem; }
figure { margin: 1.2rem 0 1.8rem; }
figcaption { font-size: 0.95rem; margin-top: 0.4rem; }
svg { width: 100%; height: auto; display: block; font-family: system-ui, "Segoe UI", sans-serif; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; margin: 0.8rem 0; }
caption { text-align: left; padding-bottom: 0.4rem; }
th, td { padding: 0.22rem 0.6rem; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
th { font-weight: 500; }
thead th { vertical-align: bottom; font-size: 0.8rem; }
th:first-child, .facts td { text-align: left; }
tbody th { white-space: nowrap; }
td small { display: block; font-weight: 400; font-size: 0.72rem; white-space: nowrap; }
td[colspan]:not([colspan="1"]) { text-align: left; }
.better { background: rgb(0 114 178 / 0.16); }
.worse { background: rgb(213 94 0 / 0.16); }
.best, .sure { font-weight: 700; }
.heat { font-size: 0.76rem; }
.heat th, .heat td { padding: 0.12rem 0.25rem; text-align: center; border: 1px solid var(--paper); }
.heat td { -webkit-print-color-adjust: exact; print-color-adjust: exact; min-width: 1.9rem; }
.heat thead th { max-width: 6rem; }
.heat th:first-child { text-align: left; white-space: nowrap; }
details { margin: 0.9rem 0; }
summary { cursor: pointer; }
pre { font-size: 0.78rem; overflow-x: auto; }
"""
