"""The page's style sheet: two colour schemes, one column on a phone."""

STYLE = """
:root{--ink:#1d2530;--quiet:#5b6675;--paper:#fff;--panel:#f5f6f8;--rule:#d9dde3;--tuned:#2563c9;--base:#8a94a3;
--baseline:#c3c9d1;--good:#18794a;--bad:#b3362b;--warm:#c2600c;--warn:#fdf3dc}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--quiet:#9ca7b6;--paper:#14181e;--panel:#1d232b;--rule:#343c47;
--tuned:#6ea3f5;--base:#8691a1;--baseline:#525c69;--good:#58c48d;--bad:#f08a7f;--warm:#f0a458;--warn:#3a3018}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule);overflow-wrap:anywhere}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:.5rem 0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.summary{font-size:1.1rem}
.quiet{color:var(--quiet);font-size:.9rem;font-weight:400}
.chat code{background:var(--panel);border:1px solid var(--rule);border-radius:4px;padding:.2rem .45rem;
overflow-wrap:anywhere}
.missing{background:var(--warn);border-radius:6px;padding:.75rem 1rem;margin:1rem 0}
.missing ul{margin:.25rem 0 0;padding-left:1.25rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--rule)}
thead th{color:var(--quiet);font-weight:500;white-space:nowrap}
td{overflow-wrap:anywhere;min-width:4rem}
.number{min-width:0;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
a{color:var(--tuned)}
.scores tbody{border-bottom:1px solid var(--rule)}
.scores td,.scores th{border-bottom:0}
.scores tbody th{font-weight:400;overflow-wrap:anywhere;min-width:9rem}
.scores .level>*{padding-top:.6rem}
.scores .who>*{padding-top:.05rem;padding-bottom:.15rem}
.scores tbody tr:last-child>*{padding-bottom:.6rem}
b.better{color:var(--good)}
b.worse{color:var(--bad)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem 2rem}
figure{margin:0}
figcaption{font-weight:600;margin-bottom:.25rem}
.chart{display:block;width:100%;height:auto}
.chart text{font-size:13px;fill:var(--quiet)}
.grid{stroke:var(--rule)}
.axis{stroke:var(--quiet)}
.chart g polyline{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .series-1 polyline{stroke:var(--tuned)}
.chart .series-1 circle{fill:var(--tuned)}
.chart .series-2 polyline{stroke:var(--warm)}
.chart .series-2 circle{fill:var(--warm)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.9rem;color:var(--quiet)}
.dots{max-width:36rem}
.dots path{fill:none;stroke-width:1.5;opacity:.75}
.dots .tuned{fill:var(--tuned);stroke:var(--tuned)}
.dots .base{fill:var(--base);stroke:var(--base)}
.dots .baseline{fill:var(--baseline);stroke:var(--baseline)}
.chart.dots text{fill:var(--ink)}
.legend i,.who i{display:inline-block;width:1.1rem;height:.2rem;margin-right:.4rem;vertical-align:middle}
i.series-1{background:var(--tuned)}
i.series-2{background:var(--warm)}
i.tuned{background:var(--tuned)}
i.base{background:var(--base)}
i.baseline{background:var(--baseline)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));gap:.75rem}
.tiles div{background:var(--panel);border-radius:6px;padding:.75rem 1rem}
.tiles b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.tiles span{color:var(--quiet);font-size:.87rem}
dl{margin:.75rem 0}
dl>div{display:grid;grid-template-columns:minmax(7rem,12rem) 1fr;gap:.1rem 1rem;padding:.2rem 0}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere;min-width:0}
details{margin:.75rem 0}
summary{cursor:pointer;padding:.35rem 0;overflow-wrap:anywhere}
.item{background:var(--panel);border-radius:6px;padding:.75rem 1rem;margin:.75rem 0}
.item .prompt{border-left:3px solid var(--rule);padding-left:.75rem}
.item dl{margin-bottom:0}
.item details{margin:.25rem 0;font-size:.9rem;color:var(--quiet)}
dd .quiet{margin:.15rem 0 0;overflow-wrap:anywhere}
span.right{color:var(--good);white-space:nowrap}
span.wrong{color:var(--bad);white-space:nowrap}
input+label{margin:0 1.25rem 0 .35rem}
#only-wrong:checked~section .item:not(.wrong),#only-better:checked~section:not(.better),
#only-worse:checked~section:not(.worse){display:none}
.card h3{margin-bottom:.25rem}
.card ul{margin:0;padding-left:1.25rem;overflow-wrap:anywhere}
footer{margin-top:3rem;color:var(--quiet);font-size:.87rem}
@media (max-width:40rem){body{font-size:15px}.item dl>div{grid-template-columns:1fr}
.facts>div{grid-template-columns:7.5rem 1fr}
.stacked,.stacked tbody,.stacked tr{display:block}.stacked thead{display:none}
.stacked tr{border-bottom:1px solid var(--rule);padding:.3rem 0}
.stacked td{display:grid;grid-template-columns:7.5rem 1fr;border:0;padding:.1rem 0;text-align:left;white-space:normal}
.stacked td::before{content:attr(data-label);color:var(--quiet)}.stacked td:empty{display:none}
thead th,thead th.number{white-space:normal}td:first-child{min-width:9.6rem}
.scores,.scores tbody,.scores tr,.scores tbody th{display:block}.scores thead,.scores td:empty{display:none}
.scores td{display:block;padding:.1rem 0;text-align:left;white-space:normal}
.scores td[data-label]::before{content:attr(data-label);color:var(--quiet);display:inline-block;width:7.5rem}}
"""
