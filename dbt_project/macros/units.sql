{# Paise (a whole number) -> rupees, Decimal(18, 2). Money changes its unit in this file only. #}
{% macro to_rupees(paise) -%}
    toDecimal64({{ paise }} / toDecimal64(100, 2), 2)
{%- endmacro %}

{# A figure that is money or something else: money in rupees, Float64; the rest as it is. #}
{% macro in_rupees_if_money(figure, unit) -%}
    if({{ unit }} = 'paise', {{ figure }} / 100, {{ figure }})
{%- endmacro %}

{# An instant in UTC -> the same instant shown in IST. #}
{% macro to_ist(at) -%}
    toTimeZone({{ at }}, 'Asia/Kolkata')
{%- endmacro %}

{# The archive keeps "no time" as the epoch; a model keeps it as null. #}
{% macro null_if_epoch(at) -%}
    if(toUnixTimestamp64Nano(toDateTime64({{ at }}, 9, 'UTC')) = 0, null, {{ at }})
{%- endmacro %}

{# Milliseconds from one instant to a later one, Float64; null where either is. #}
{% macro ms_between(earlier, later) -%}
    (toUnixTimestamp64Nano(toDateTime64({{ later }}, 9, 'UTC')) - toUnixTimestamp64Nano(toDateTime64({{ earlier }}, 9, 'UTC'))) / 1e6
{%- endmacro %}

{# A part of a whole in basis points, Float64; null where the whole is 0. #}
{% macro to_bps(part, whole) -%}
    if({{ whole }} = 0, null, toFloat64({{ part }}) / toFloat64({{ whole }}) * 1e4)
{%- endmacro %}
