"""Models turn feature rows into scores: an offline one trained on earlier days, an online one that learns."""
