{# The archive's database, e.g. `kitepilot`; everything dbt makes is in databases named `<raw>_<layer>`. #}
{% macro raw_database() -%}
    {{ return(var('raw_database', env_var('KITEPILOT_RAW_DATABASE', 'kitepilot'))) }}
{%- endmacro %}

{# Layer -> database: `marts` -> `kitepilot_marts`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ raw_database() }}_{{ (custom_schema_name or 'marts') | trim }}
{%- endmacro %}
