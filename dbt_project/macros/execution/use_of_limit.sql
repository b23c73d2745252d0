{#
How near a figure came to its limit, Float64: 1 is at the limit, more is past it. `at_most`: observed / allowed;
`at_least`: allowed / observed, at most 1000. Null where nothing is compared: a yes-or-no check (no comparison), a
limit or a figure that is not known (0, -1), or, where `idle_at_limit`, a check that had nothing to look at and
says so by a figure equal to its limit.
#}
{% macro use_of_limit(observed, allowed, comparison, idle_at_limit) -%}
    multiIf(
        {{ comparison }} = '' or {{ comparison }} is null or {{ allowed }} <= 0 or {{ observed }} < 0, null,
        {{ idle_at_limit }} and {{ observed }} = {{ allowed }}, null,
        {{ comparison }} = 'at_most', {{ observed }} / {{ allowed }},
        least({{ allowed }} / greatest({{ observed }}, {{ allowed }} / 1000), 1000)
    )
{%- endmacro %}
