{# The lines of a day's charges, in the order of the contract note. #}
{% macro ledger_charge_lines() -%}
    {{ return(['brokerage', 'transaction', 'sebi', 'auto_square_off', 'gst', 'stt', 'stamp']) }}
{%- endmacro %}

{#
Whole paise of an exact amount, so that the running sum is always the exact sum rounded once, half up: shares of a
total that add up to the total. `over` is the window's partition and order.
#}
{% macro rounded_share(exact, over) -%}
    {%- set so_far = 'sum(' ~ exact ~ ') over (' ~ over ~ ' rows between unbounded preceding and current row)' -%}
    toInt64(round({{ so_far }})) - toInt64(round({{ so_far }} - {{ exact }}))
{%- endmacro %}

{# An instant in UTC -> the IST clock as text, `14:05`. #}
{% macro ledger_clock(at) -%}
    formatDateTime({{ to_ist(at) }}, '%H:%i')
{%- endmacro %}

{# The periods a trading date belongs to: (name, first date); 'all' begins at the epoch. #}
{% macro ledger_periods(date) -%}
    [
        ('day', {{ date }}),
        ('week', toMonday({{ date }})),
        ('month', toStartOfMonth({{ date }})),
        ('all', toDate(0))
    ]
{%- endmacro %}
