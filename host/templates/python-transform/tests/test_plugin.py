"""The rule by itself, in any Python: `python3 -m unittest discover tests`."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from audit_plugin import ConfigError, utf8
from audit_plugin.testing import Context, TestHost, batch
from plugin import Plugin


def masked(config, emails):
    plugin = Plugin(config, TestHost())
    judgement = plugin.process(batch(user_email=utf8(emails)), Context())
    return batch(**judgement.columns).text("user_email")


class PluginTest(unittest.TestCase):
    def test_the_first_characters_stay(self):
        emails = ["alice@example.com", None, "", "éa@example.com"]
        self.assertEqual(masked({}, emails), ["a***", None, "***", "é***"])
        self.assertEqual(masked({"keep": 0}, ["alice"]), ["***"])

    def test_a_wrong_configuration_is_refused_by_its_key(self):
        for config, key in [({"kepe": 1}, "kepe"), ({"keep": 17}, "keep"), ({"keep": "1"}, "keep")]:
            with self.assertRaises(ConfigError) as refused:
                Plugin(config, TestHost())
            self.assertEqual(refused.exception.key, key)


if __name__ == "__main__":
    unittest.main()
