"""A recorded day played again in one loop: the same kernel, strategies and risk fold, a modelled exchange."""
