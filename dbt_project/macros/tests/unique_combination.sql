{# Fails with one row per combination of `columns` that stands there more than once. #}
{% test unique_combination(model, columns) %}
    select {{ columns | join(', ') }}, count() as rows_found
    from {{ model }}
    group by {{ columns | join(', ') }}
    having rows_found > 1
{% endtest %}

{# Fails with the rows for which `expression` is not true. #}
{% test holds(model, expression) %}
    select * from {{ model }} where not coalesce({{ expression }}, false)
{% endtest %}
