{#-
    The shops, and what each of them provides.

    A shop is an entry of config/shops.yaml, handed over in the variable `shops`:
        {"<shop>": {"timezone": ..., "currency": ..., "language": ..., "provides": [...], "code": "<hash>"}}
    `code` is a hash of the code behind the shop's rows: where it changes, that shop alone is made again.
-#}
{% macro shops() %}
    {% set shops = var('shops', none) %}
    {% if shops is not mapping %}
        {% do exceptions.raise_compiler_error(
            "The variable 'shops' is missing: it is made from config/shops.yaml. "
            ~ "Call dbt through `cartograph dbt ...`, which passes it."
        ) %}
    {% endif %}
    {% do return(shops) %}
{% endmacro %}


{#- One setting of one shop: timezone, currency, language, provides or code. -#}
{% macro shop_setting(shop, key) %}
    {% set settings = shops() %}
    {% if shop not in settings or key not in settings[shop] %}
        {#- dbt renders a model before it learns that it is disabled. -#}
        {% if not execute %}{% do return('') %}{% endif %}
        {% do exceptions.raise_compiler_error("The variable 'shops' holds no '" ~ key ~ "' for the shop '" ~ shop ~ "'.") %}
    {% endif %}
    {% do return(settings[shop][key]) %}
{% endmacro %}


{#- Whether a shop provides all of `capabilities`. -#}
{% macro shop_provides(shop, capabilities) %}
    {% set provided = shop_setting(shop, 'provides') %}
    {% do return(capabilities | reject('in', provided) | list | length == 0) %}
{% endmacro %}


{#- The shops that provide all of `capabilities`, and one of `any` if that is given, in the order of the configuration. -#}
{% macro shops_providing(capabilities, any=none) %}
    {% set found = [] %}
    {% for shop in shops() if shop_provides(shop, capabilities) %}
        {% if not any or shop_setting(shop, 'provides') | select('in', any) | list %}
            {% do found.append(shop) %}
        {% endif %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}
