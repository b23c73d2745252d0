"""How large an entry is: a method wants a number of shares, `fit` cuts it to what may be sent.

A user's own method is a class with the shape of `SizingMethod`, named in a package's entry points::

    [project.entry-points."kitepilot.sizing"]
    my_size = "my_package.my_size:MySize"
"""

from kitepilot.risk.sizing.choose import SizingError as SizingError
from kitepilot.risk.sizing.choose import flaw as flaw
from kitepilot.risk.sizing.choose import method_of as method_of
from kitepilot.risk.sizing.fit import fit as fit
from kitepilot.risk.sizing.port import Entry as Entry
from kitepilot.risk.sizing.port import Parameter as Parameter
from kitepilot.risk.sizing.port import SizingMethod as SizingMethod
