"""How report pages look: by the reader's light or dark, and on paper."""

from __future__ import annotations

COLOURS = 7
"""Classes `c0` (before) to `c6` colour the series of charts."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --soft: #6b6b70; --rule: #d8d8dc;
  --c0: #8a8a92; --c1: #0a6cbd; --c2: #c2410c; --c3: #15803d; --c4: #7e22ce; --c5: #b4237a; --c6: #a16207; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --paper: #17171a; --soft: #a0a0a8; --rule: #3a3a40; --c0: #8f8f98; --c1: #5cb0f5;
    --c2: #fb923c; --c3: #4ade80; --c4: #c084fc; --c5: #f472b6; --c6: #facc15; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --soft: #444; --rule: #bbb; --c0: #8a8a92;
    --c1: #0a6cbd; --c2: #c2410c; --c3: #15803d; --c4: #7e22ce; --c5: #b4237a; --c6: #a16207; }
  section { break-inside: avoid; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 820px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
article + article { border-top: 2px solid var(--rule); margin-top: 2.5rem; padding-top: 1.5rem; }
p { margin: .2rem 0; }
a { color: var(--c1); }
.soft { color: var(--soft); overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .22rem .7rem .22rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
td.n, th.n { text-align: right; }
td.n { white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; }
.wide { overflow-x: auto; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 10px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: .6; }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; }
.line.thin { stroke-width: .6; opacity: .7; }
.fill { fill: currentColor; }
.legend { font-size: .8rem; color: var(--soft); }
.key { margin-right: 1.2em; }
.key::before { content: "\\25A0"; margin-right: .3em; }
.key.thin { opacity: .7; }
.failed { color: var(--c2); }
.c0 { color: var(--c0); }
.c1 { color: var(--c1); }
.c2 { color: var(--c2); }
.c3 { color: var(--c3); }
.c4 { color: var(--c4); }
.c5 { color: var(--c5); }
.c6 { color: var(--c6); }
"""
