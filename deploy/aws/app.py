"""What `cdk` runs: describes what Cartograph needs on AWS, for the shops of Cartograph's own settings."""

from __future__ import annotations

import os
import sys

from provisioning.node import use_node_of_wheel
from provisioning.options import OptionError, read_options

from assets.extracts.declared import DeclarationError
from resources.settings import SettingsError, get_settings
from resources.shops import ShopsError, load_shops


def describe() -> None:
    """Write the template to the folder that `cdk` names, or to `cdk.out` where this is run by hand.

    Raises:
        OptionError: an option has a value that cannot be used.
        SettingsError: so has a setting.
        ShopsError: the shops cannot be read.
        DeclarationError: a raw table is not declared.
    """
    shops = load_shops(get_settings().shops_file)
    use_node_of_wheel()
    # The CDK starts Node.js when it is imported.
    import aws_cdk as cdk
    from provisioning.stack import CartographStack

    # A folder that is given here would hold against the one that cdk names.
    app = cdk.App() if "CDK_OUTDIR" in os.environ else cdk.App(outdir="cdk.out")
    CartographStack(app, read_options(app.node.get_all_context()), shops)
    app.synth()


if __name__ == "__main__":
    try:
        describe()
    except (OptionError, SettingsError, ShopsError, DeclarationError) as error:
        sys.exit(str(error))
