{# What a post is, for the filters and for analysts. Each macro is one boolean expression. Only certain signs count. #}


{% macro is_link_only(body) %}
    {#- Little more than links: at most five words outside them, and no code. The tuning package drops such answers too. -#}
    {%- set outside = "regexp_replace(" ~ body ~ ", " ~ text_literal('(?s)<a\\s.*?</a>') ~ ", ' ')" -%}
    {%- set outside = "regexp_replace(" ~ outside ~ ", " ~ text_literal('https?://[^\\s<>]+') ~ ", ' ')" -%}
    {%- set outside = "regexp_replace(" ~ outside ~ ", " ~ text_literal('<[^>]*>|&#?[A-Za-z0-9]+;') ~ ", ' ')" -%}
    case
        when {{ body }} not like '%://%' or {{ body }} like '%<code%' or length({{ body }}) > 2000 then false
        else array_length(regexp_extract_all({{ outside }}, {{ text_literal('\\pL+') }})) <= 5
    end
{% endmacro %}


{% macro needs_picture(body, prose, text_length, has_code) %}
    {#-
    An image stands for text: the post has under 200 characters and no code at all, or it points to the image and has
    under 200 characters, or under 600 and no code block.
    -#}
    {%- set image = '(?i)<img\\s|<a [^>]*href=.[^\\x22>]*(?:\\.png|\\.jpe?g|\\.gif|\\.bmp|\\.webp|//i\\.(?:stack\\.)?imgur\\.com/[^\\x22>]*)\\x22' -%}
    {#- A colon or one of these words stands right before the image, with nothing but tags between them. -#}
    {%- set before_image = '(?i)(?::|\\b(?:attached|below|error|following|here|output|result|screen ?shots?|see|shown?|shows|this)\\W*?)'
        ~ '(?:\\s|</?(?:a|br|div|em|h\\d|li|ol|p|strong|ul)\\b[^>]*>)*<(?:img\\s|a [^>]*imgur)' -%}
    {%- set in_words = '(?i)\\b(?:screen ?-?shots?|pictures?|pics?|attach(?:ed|ment)|images? (?:above|attached|below|here)'
        ~ '|(?:attached|below|following|from|in|see|the|this) (?:the |this |attached |below |following )?(?:image|img|figure|photo))\\b' -%}
    (
        regexp_contains({{ body }}, {{ text_literal(image) }})
        and (
            ({{ text_length }} < 200 and {{ body }} not like '%<code%')
            or (
                ({{ text_length }} < 200 or ({{ text_length }} < 600 and not {{ has_code }}))
                and (
                    regexp_contains({{ body }}, {{ text_literal(before_image) }})
                    or regexp_contains({{ prose }}, {{ text_literal(in_words) }})
                )
            )
        )
    )
{% endmacro %}


{% macro leans_on_others(prose) %}
    {#- Names a comment, another answer or its author as the source of what it says. Comments in code do not count. -#}
    {%- set in_code = '(?i)\\b(?:code|in-?line|block|type|source|following|same) comments?\\b'
        ~ '|\\bcomments? (?:along|for|in|inside|of|on|to|within) (?:(?:each|every|my|that|the|this|your) )?(?:\\w+ )?'
        ~ '(?:class|codes?|example|file|function|lines?|method|post|program|script|snippet|source)\\b|\\bcomments? …' -%}
    {%- set said = '(?:said|says?|mention(?:ed|s)?|suggest(?:ed|s)?|note[ds]?|point(?:ed|s)? out|state[ds]?|comment(?:ed|s)?'
        ~ '|explain(?:ed|s)?|wrote|propose[ds]?|recommend(?:ed|s)?|described?|shown?|discussed|indicated?)' -%}
    {%- set said_by = '(?:said|mentioned|suggested|pointed out|noted|stated|commented|explained|proposed)' -%}
    {%- set owned = '(?:[\\x27’]s|s[\\x27’]) (?:\\w+ )?' -%}
    {%- set patterns = [
        '(?i:\\b(?:addressing|after|answering|at|by|check|following|from|in|on|per|read|see|to|under|with) '
            ~ '(?:the|his|her|your|my|their|previous|these|some|other|above|below) comments?\\b)',
        '(?i:\\b(?:from|in|per|see|via) comments?\\b)',
        '(?i:\\b(?:per|quoting|read|see|what) @\\w)',
        '(?i:\\banswers? (?:by|from|of)) (?:@\\w|[A-Z][a-z])',
        '(?i:\\b(?:as|like) (?:the |your |one |a |other )?(?:comments?|commenters?|answers?) (?:\\w+ ){0,4}' ~ said ~ '\\b)',
        '(?i:\\b(?:as|like) (?:user )?@\\w[\\w. -]{0,30} (?:\\w+ )?' ~ said ~ '\\b)',
        '\\b[Aa]s (?:user )?[A-Z][\\w.]+ (?:[A-Z][\\w.]* )?(?:(?:already|also|correctly|has|have|rightly) )*' ~ said_by ~ '\\b',
        '\\b(?i:as (?:\\w+ )?' ~ said_by ~ ' (?:(?:above|already|below|earlier|here) )?by) '
            ~ '(?:@|[A-Z][a-z]|comment|everyone|many|other|several|some|user)',
        '@\\w[\\w. -]{0,30}' ~ owned ~ '(?i:advice|answer|approach|code|comment|hint|idea|point|remark|solution|suggestion|version)',
        '\\b(?:[A-Z][\\w.]+|[a-z]+\\d+|OP)' ~ owned ~ '(?i:answer|comment|suggestion)s?\\b',
        '(?i:\\b(?:all|both|many|some|the|these|those|two) (?:accepted|currently accepted|existing|other|previous) answers?\\b)',
        '(?i:\\b(?:another answer|other answers)\\b)',
        '(?i:\\b(?:as|like) (?:the )?(?:he|she|everybody|everyone|many|other|others|people|previous|several|somebody|someone) '
            ~ '(?:(?:already|also|answers?|answerers?|commenters?|have|has|people|posters?|rightly|users?) )*' ~ said ~ '\\b)',
    ] -%}
    regexp_contains(
        regexp_replace({{ prose }}, {{ text_literal(in_code) }}, ' '), {{ text_literal(patterns | join('|')) }}
    )
{% endmacro %}


{% macro is_about_python(tags) %}
    {#- Whether a question has a tag of Python or its libraries. tuning/answers/suite.py has the same tags. -#}
    {%- set libraries = ['django', 'flask', 'matplotlib', 'numpy', 'pandas', 'pytorch', 'scikit-learn', 'scipy'] -%}
    exists (
        select 1
        from unnest({{ tags }}) as tag
        where tag like '%python%' or tag in ('{{ libraries | join("', '") }}')
    )
{% endmacro %}


{% macro without_literals(code) %}
    {#- Replace each string by an empty one, and remove comments. -#}
    {%- set text = namespace(sql=code) -%}
    {%- for entity, character in [('&quot;', '"'), ('&#34;', '"'), ('&#39;', "'"), ('&#x27;', "'"), ('&#', '&')] -%}
        {%- set text.sql = 'replace(' ~ text.sql ~ ', ' ~ text_literal(entity) ~ ', ' ~ text_literal(character) ~ ')' -%}
    {%- endfor -%}
    {#- The groups are the first quotes of the strings. -#}
    {%- set literal = '(?s)(\\x27)\\x27\\x27.*?\\x27\\x27\\x27|(\\x22)\\x22\\x22.*?\\x22\\x22\\x22'
        ~ '|(\\x27)(?:[^\\x27\\\\\\n]|\\\\.)*\\x27|(\\x22)(?:[^\\x22\\\\\\n]|\\\\.)*\\x22|#[^\\n]*' -%}
    regexp_replace({{ text.sql }}, {{ text_literal(literal) }}, {{ text_literal('\\1\\2\\3\\4\\1\\2\\3\\4') }})
{% endmacro %}


{% macro has_python2_code(body, bare) %}
    {#-
    Code has what Python 3 refuses, and the post names neither Python 3 nor code for both versions. `bare` is the code with
    empty strings and without comments. The tuning package looks for the same in blocks that a parser has found to be Python
    (tuning/dataset/markdown/fences/python_2.py). Here output, SQL and commands are searched too, so more must stand around
    a number, `<>` or a backtick.
    -#}
    {%- set quote = '[\\x22\\x27]' -%}
    {%- set start = '(?m:^|[:;] )[ \\t]*(?:(?:&gt;){3} |\\.\\.\\. |In \\[\\d+\\]: )?' -%}
    {%- set renamed = '(?:__builtin__|commands|cookielib|ConfigParser|cPickle|cStringIO|HTMLParser|httplib|Queue|StringIO'
        ~ '|Tkinter|tkFileDialog|tkMessageBox|urllib2|urlparse)' -%}
    {#- Parameters of a function before one that is a tuple. -#}
    {%- set parameters = '(?:\\*{0,2}\\w+[ \\t]*(?:=[ \\t]*[\\w.\\x22\\x27-]*[ \\t]*)?,[ \\t]*)*' -%}
    {%- set tuple = parameters ~ '\\([ \\t]*[\\w(][\\w, \\t()]*\\)' -%}
    {%- set unequal = '[\\w)\\]\\x22\\x27][ \\t]*&lt;&gt;[ \\t]*[\\w(\\[\\x22\\x27-]' -%}
    {%- set long = '(?:0[xX][0-9a-fA-F]+|[0-9]+)[lL]\\b' -%}
    {%- set octal = '0+[1-7][0-7]*[lL]?' -%}
    {%- set repr = '`[\\w. \\t()\\[\\],\\x22\\x27+*/-]+`' -%}
    {%- set patterns = [
        start ~ '(?:print|exec)[ \\t]*[uUrRbB]{0,2}' ~ quote,
        start ~ 'exec[ \\t]+\\w[\\w.]*[ \\t]+in[ \\t]+\\w',
        start ~ 'print[ \\t]+\\w(?:[\\w.]|\\[[^\\]\\n]*\\]|\\((?:[^()\\n]|\\([^()\\n]*\\))*\\))*[ \\t]*(?m:$|[,%*/+-]|[!=]=|&[gl]t;)',
        start ~ 'print[ \\t]+[\\[{]',
        start ~ 'print[ \\t]+\\w[\\w.]*[ \\t]?\\(',
        start ~ 'print[ \\t]*&gt;&gt;[ \\t]*\\w',
        start ~ 'except[ \\t]+(?:[\\w.]+|\\([\\w., ]+\\))[ \\t]*,[ \\t]*(?:[\\w.]+|\\([\\w, ]+\\))[ \\t]*:',
        start ~ 'raise[ \\t]+[\\w.]+[ \\t]*,[ \\t]*(?:' ~ quote ~ '|\\w)',
        start ~ '(?:import|from)[ \\t]+(?:[\\w, ]+, ?)?' ~ renamed ~ '\\b',
        '(?m:^|[^\\w.])(?:execfile|raw_input|unichr|unicode|xrange)\\(',
        '[\\w)\\]]\\.(?:has_key|iterkeys|itervalues)\\(',
        '\\b(?:sys\\.maxint|itertools\\.i(?:filter|map|zip))\\b',
        start ~ '(?:if|elif|while)\\b[^\\n]*' ~ unequal ~ '[^\\n]*:',
        start ~ 'assert\\b[^\\n]*' ~ unequal,
        '\\bfor\\b[^\\n]*\\bif\\b[^\\n]*' ~ unequal ~ '[^\\n]*[)\\]]',
        '\\bdef[ \\t]+\\w+[ \\t]*\\([ \\t]*' ~ tuple,
        '\\blambda[ \\t]*' ~ tuple ~ '[\\w, \\t=]*:',
        '(?m:^|[^\\w\\x22\\x27])[uU][rR](?:\\x27\\x27|\\x22\\x22)',
        start ~ '[\\w.]+[ \\t]*[-+*/|]?=[ \\t]*(?:' ~ long ~ '|' ~ octal ~ '[ \\t]*(?m:$))',
        '\\breturn[ \\t]+(?:' ~ long ~ '|' ~ octal ~ '[ \\t]*(?m:$))',
        '\\w\\w\\([ \\t]*' ~ long,
        '\\w[ \\t]*(?:[-+*/%|]|&amp;|[!=]=|&lt;=?|&gt;=?)[ \\t]*' ~ long,
        '\\w\\((?:[^()\\n]*[,=][ \\t]*)?' ~ octal ~ '[ \\t]*[),]',
        '[\\w)][ \\t]*(?:&amp;|\\|)[ \\t]*' ~ octal ~ '\\b',
        '(?:[+%]|\\b(?:append|int|join|len|write)\\(|\\b(?:in|print|return)[ \\t])[ \\t]*' ~ repr,
        start ~ '\\w+[ \\t]+=[ \\t]+' ~ repr,
    ] -%}
    {%- set python3 = '(?i)python ?-?3|\\bpy3|\\b3\\.\\d\\b|\\b(?:import|from) six\\b|sys\\.version|python 2 and|version 3|for python 2'
        ~ '|except \\(?(?:ImportError|NameError|ModuleNotFoundError)|from (?:__future__|builtins|future|past)\\b'
        ~ '|def (?:raw_input|unicode|xrange)\\b|\\b(?:raw_input|unicode|xrange) ?= ?' -%}
    (
        regexp_contains({{ bare }}, {{ text_literal(patterns | join('|')) }})
        and not regexp_contains({{ body }}, {{ text_literal(python3) }})
    )
{% endmacro %}
