"""Test that formulas keep every character, and that prices, variables and patterns are prose."""

# Formulas and prose in Chinese and Greek have letters that look like others.
# ruff: noqa: RUF001

import pytest

from tuning.dataset.markdown.convert import to_markdown
from tuning.dataset.markdown.formulas import hide

SITE = "https://stats.stackexchange.com"


@pytest.mark.parametrize(
    "formula",
    [
        r"$\{x_1, x_2\}$",
        "$a*b*c$",
        "$a_{i}^{*}$",
        r"$$\begin{pmatrix} a & b \\ c & d \end{pmatrix}$$",
        r"\(a_1 * b_1 * c_1\)",
        r"$\sigma(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$",
        r"\[ x_{n+1} < y \]",
        "$$\nx_1 * y\n+ z_1\n$$",
        "$x<y$",
        "$O(n^2)$",
        r"\begin{align}a &= b_1 \\ c &= d_1\end{align}",
        "$ y = x^2 + 3x $",
        "$P(A|B) = P(B|A) * P(A)$",
        r"$\text{loss} = a_1$",
        "$f(x) = max(0, x_i)$",
        r"$50\%$",
        r"$\$5$",
        r"$100\$$",
        r"$a \% b$",
        r"$A \# B$",
        r"$a \_ b$",
        r"$x \& y$",
        r"$a \\ b$",
        r"$1 \\ 2$",
        r"$sales \\ cost$",
        r"$a\\b$",
        r"$a & b \\ c & d$",
        r"$accuracy = 95\%$",
        r"$total\_count$",
        r"\(50\%\)",
        r"$$\$5 + 5\%$$",
        "$<x>$",
        "$<x_1*y*>$",
        "$|x|_1 <b>$",
        r"$\E[X*Y*Z]$",
        r"$\bra{0}*c*d$",
        r"$\ce{A*B*C -> D}$",
        r"$\RR*\NN*\ZZ$",
        r"$x\norm{y}*a*b$",
        "$$\nX*\\RR*Y\n$$",
        r"\(\norm{x}*a*b\)",
        r"$\newcommand{\a}{b}\a*x*y$",
        "$error = predicted*actual*weight$",
        "$y = softmax(W*x*h + b)$",
        "$loss = -y*log(p) - (1-y)*log(1-p)*weight$",
        "$max(first*second, third*fourth)*a$",
        "$速度 = 距离*时间*质量$",
        "$λ*μ*ν = 1$",
        "$λ_i*μ_j*x$",
        "$𝐗*𝐲*𝐳$",
        "$∑ᵢ x₁*yᵢ*z²$",
        "$y' = weight*x*z$",
        "$α∘β*γ*δ$",
    ],
)
@pytest.mark.parametrize(
    "frame",
    [
        "<p>{}</p>",
        "<p>For {} and <em>b</em>, see <code>a_b</code>.</p>",
        "<ul><li>({}),</li></ul>",
        "<p><strong>{}</strong></p>",
        "<p>If a<br>{}<br>b</p>",
        "<p>设{}为集合，（{}）和「{}」は{}를ก{}ข</p>",
    ],
)
def test_a_formula_keeps_every_character(formula: str, frame: str) -> None:
    html = frame.replace("{}", formula.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    markdown = to_markdown(html, SITE)
    assert isinstance(markdown, str)
    # In a list, each line of a formula is indented.
    assert markdown.replace("\n  ", "\n").count(formula) == frame.count("{}")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<span class="math-container">$a_b * c_d &lt; 3$</span> x', "$a_b * c_d < 3$ x"),
        ("$x<em>1 + x</em>2$, $a<em>b</em>c$", "$x_1 + x_2$, $a*b*c$"),
        ("$x^<em>$ and $y^</em>$", "$x^*$ and $y^*$"),
        (r"$\mathbf{x}<em>{i} + \mathbf{y}</em>{i}$", r"$\mathbf{x}_{i} + \mathbf{y}_{i}$"),
        (r"$\theta^<em>$ is the best, </em>not* one", r"$\theta^*$ is the best, \*not\* one"),
        ("$$a_1<br>\n+ b$$", "$$a_1\n+ b$$"),
        ("the $n$th and $k$-th", "the $n$th and $k$-th"),
        ("设$x<em>i$和$y</em>i$", "设$x_i$和$y_i$"),
        ("$a<em>b$가 $c</em>d$를", "$a_b$가 $c_d$를"),
        ("$predicted<em>actual</em>weight$", "$predicted*actual*weight$"),
        ("$f*g*h$(x), $f^{*}*g*h$(x)", "$f*g*h$(x), $f^{*}*g*h$(x)"),
        ("$a*b*c$+$d*e*f$→$g*h*i$", "$a*b*c$+$d*e*f$→$g*h*i$"),
        (r"价格\$5元或\$6，$a*b*c$", r"价格\$5元或\$6，$a*b*c$"),
        ("价格$5，公式$x*y*z$", "价格$5，公式$x*y*z$"),
        (r"costs \$5, or \$1,000.50.", r"costs \$5, or \$1,000.50."),
        ("($x_1$) <code>$a_b$ c_d$</code> -- $y_1$", "($x_1$) `$a_b$ c_d$` -- $y_1$"),
    ],
)
def test_a_formula_is_as_its_author_typed_it(html: str, expected: str) -> None:
    assert to_markdown(f"<p>{html}</p>", SITE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I cost $5 or $6 per run",
        "$5*2 or $6*2, US$7 and US$8, 5$ and 6$, $5-$10_000",
        "from ($4.50) to ($100,000.34)",
        r"\$5_a and \$6_b",
        r"u@\h:\w\$ and $MY\_VAR, $OTHER\_VAR",
        r"$HOME\\bin and C:\\my$",
        r"\(\$\) or \[\$\#\] in a pattern",
        "$HOME and $PATH, $HOME/$USER, $MY_VAR,$OTHER_VAR, ${FOO_BAR}/${BAZ_QUX}",
        "$x = 5; $y_z = 6; $this->a_b and $this->c_d",
        "$('.my_class').on and $('.other_class'),$('.z_x')",
        "$.ajax_x/$.get_y",
        r"^foo_\d+$ and ^bar_\d+$|^x_y$",
        "kill $$ and echo $$ > my_file; kill $$",
        "a lone $ sign",
        r"match \( and \) or \(.*?\) in (?=\()",
        "$INHDT,31.9,T*1E $INZDA,09*7F $PRDID,2*3",
        r"$env:USERPROFILE\a_b;$env:TMP\c_d",
        "her_PRP$ classmates_NNS as_IN her_PRP$ way_NN",
        "echo $a_b:$c_d and $?",
        "cd $(dirname $0)/a_b && $(pwd)/c_d",
        "$HOME和$PATH的值，$MY_VAR*x、$OTHER*y，变量$a和$（b）",
        "价格从$5*2到$10*2，或者$6*3元，5$和6*2*3$，人民币$和美元*x*$",
        "변수 $foo*x와 변수 $bar*y는 5*2$와 6*2$",
        "“$x*1”和“$y*2”，「$a_b」と「$c_d」",
        "$('.a*b')和$('.c*d')，$.ajax和$.get",
        "от $5*2 или 6*2$",
        "$foo*bar and $baz*qux, $foo*$bar*$baz",
        "$total = $price*$qty*$rate; $x = foo*bar*baz; $y = a*b",
        "$foo bar*baz*qux$",
        "$it's*not*word$ and $item['a']*item['b']*word$",
        "$foo*bar, baz*qux$",
        "$error = predicted *really* actual$",
        "$foo++*bar*baz$ and $a == b*c*word$ and $this->item*word$",
        'echo "$x" and "$y*z*w" and "$first*second"',
        r"$HOME\bin\my*x*y$ or $HOME\bin*a*$, $\server\share*x*y$",
        r"$\w+\word*x*y$, $\d*\s*\w*$, $a\n\foo*b*c$, $\xe9*\xe8*\xe0$, $\u00e9*\d*b$",
        r'print $fh "\foo*\baz*$"',
        r"map $ \key -> find*key $ list*of",
        r"\(foo*bar*baz\) and \(\word*\w*\)",
        "^foo.*bar$|^foo.*baz.*$, x.*$, y.*$, (a.*|$)|(b.*$), a+$|^b_c+$",
        "$(CC)$(CFLAGS)*x, $A*$(B)*x$(C), $MY_VAR$(other*x*y)",
        "$$foo*bar baz*qux$$ and $foo/*.txt and $bar/*.txt$",
        "$(first*second)$ and $[1*first",
    ],
)
def test_prices_and_variables_are_prose(text: str) -> None:
    html = f"<p>{text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</p>"
    assert hide(html) in [(html, [], ""), (html, [], "⑀⑁")]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<blockquote><p>$$\na_1\n- b_1\n$$</p></blockquote>", "> $$\n> a_1\n> - b_1\n> $$"),
        ("<ul><li>x $a_1$ $$\n+ b_1\n$$ y</li></ul>", "- x $a_1$ $$\n  + b_1\n  $$ y"),
        (
            "<ol><li><blockquote><p>a</p><p>$x_1$ - $$\na_1\n+ b_1$$</p></blockquote></li></ol>",
            "1. > a\n   >\n   > $x_1$ - $$\n   > a_1\n   > + b_1$$",
        ),
        ("<p>$x_1$ - $$\na_1\n- b_1\n$$</p>", "$x_1$ - $$\na_1\n- b_1\n$$"),
    ],
)
def test_each_line_of_a_formula_stays_in_its_quotation_or_list(html: str, expected: str) -> None:
    assert to_markdown(html, SITE) == expected


def test_a_formula_in_a_table_does_not_divide_its_cell() -> None:
    html = "<table><tr><th>$a_1$</th></tr><tr><td>$|x|$</td></tr></table>"
    assert to_markdown(html, SITE) == "| $a_1$ |\n| --- |\n| $\\|x\\|$ |"


def test_a_text_with_the_characters_of_the_marks_is_not_confused() -> None:
    assert to_markdown("<p>⑀0⑁ and $a_1$</p>", SITE) == "⑀0⑁ and $a_1$"
