"""How the page about an endpoint looks: one sheet inside the page, nothing fetched."""

CSS = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #e1e6ec; --paper: #fff; --wash: #f5f7fa; --accent: #0b6bcb;
  --good: #0f7b4f; --good-wash: #e4f5ec; --bad: #a3341f; --bad-wash: #fdebe7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #2b3441;
  --paper: #141a22; --wash: #1c2430; --accent: #6cb2ff; --good: #6fdca9; --good-wash: #14382a;
  --bad: #ff9d87; --bad-wash: #3d1d16; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-size: 16px;
  -webkit-text-size-adjust: 100%; }
main, header > div, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { background: var(--wash); border-bottom: 1px solid var(--line); padding: 2rem 0 1.25rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 2.75rem 0 .5rem; padding-top: .25rem; overflow-wrap: anywhere;
  display: flex; flex-wrap: wrap; gap: .35rem .75rem; align-items: center; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin-top: 1rem; }
nav a { text-decoration: none; } nav a:hover, nav a:focus { text-decoration: underline; }
code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .875em; }
code { background: var(--wash); border-radius: 4px; padding: .1em .35em; overflow-wrap: anywhere; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem;
  overflow-x: auto; line-height: 1.5; margin: .5rem 0; }
pre code { background: none; padding: 0; font-size: 1em; overflow-wrap: normal; }
.badge { font-size: .8125rem; font-weight: 600; border-radius: 999px; padding: .1rem .7rem;
  background: var(--good-wash); color: var(--good); white-space: nowrap; }
.badge.none { background: var(--bad-wash); color: var(--bad); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .9rem; border-top: 1px solid var(--line); }
thead th { background: var(--wash); border-top: 0; color: var(--soft); font-size: .8125rem;
  font-weight: 600; }
tbody th { font-weight: 600; overflow-wrap: anywhere; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
details summary { cursor: pointer; color: var(--accent); }
details p { margin: .25rem 0 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .875rem; margin-top: 3rem; padding-top: 1rem;
  padding-bottom: 2.5rem; border-top: 1px solid var(--line); }
@media (max-width: 40rem) {
  header { padding: 1.5rem 0 1rem; } h1 { font-size: 1.4rem; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack tr { display: block; border-top: 1px solid var(--line); padding: .6rem .9rem; }
  .stack tbody tr:first-child { border-top: 0; }
  .stack th, .stack td { display: block; border: 0; padding: .05rem 0; }
  .stack td:empty { display: none; }
  .stack td[data-label]::before { content: attr(data-label) " "; color: var(--soft); }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 .5rem; }
}
@media print { header { background: none; } pre { white-space: pre-wrap; } }
"""
