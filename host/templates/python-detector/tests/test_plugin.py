"""The rule by itself, in any Python: `python3 -m unittest discover tests`."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from audit_plugin import StateError, UnsupportedVersion, int32, int64, timestamp, utf8
from audit_plugin.testing import Context, TestHost, batch
from plugin import Plugin

CONFIG = {"threshold": 2, "window-seconds": 60, "max-users": 2}

VERSION = Plugin.DESCRIPTION.state_version


def alerts(plugin, events):
    """What the plugin says to events of users at seconds of one minute."""
    rows = batch(
        user_id=utf8(user for user, _ in events),
        event_timestamp=timestamp(second * 1_000_000 for _, second in events),
        source_partition=int32(0 for _ in events),
        source_offset=int64(range(len(events))),
    )
    return plugin.process(rows, Context(clock=600_000_000)).alerts


class PluginTest(unittest.TestCase):
    def test_more_than_the_threshold_raises_one_alert(self):
        plugin = Plugin(CONFIG, TestHost())
        self.assertEqual(alerts(plugin, [("ann", 1), ("bob", 2), ("ann", 3)]), [])
        (raised,) = alerts(plugin, [("ann", 4), ("ann", 5), ("bob", 6)])
        self.assertEqual((raised.count, raised.key), (3, {"user_id": "ann"}))
        # The next window counts anew.
        self.assertEqual(alerts(plugin, [("ann", 61), ("ann", 62)]), [])

    def test_a_restart_changes_nothing(self):
        events = [("ann", 1), ("ann", 2), ("bob", 3), ("ann", 4), ("bob", 5), ("bob", 6)]
        for cut in range(1, len(events)):
            before, after = events[:cut], events[cut:]
            whole = Plugin(CONFIG, TestHost())
            expected = alerts(whole, before) + alerts(whole, after)

            first = Plugin(CONFIG, TestHost())
            seen = alerts(first, before)
            second = Plugin(CONFIG, TestHost())
            second.restore(json.loads(json.dumps(first.snapshot())), VERSION)
            seen += alerts(second, after)
            self.assertEqual(seen, expected, f"cut at {cut}")
            self.assertEqual(second.snapshot(), whole.snapshot(), f"cut at {cut}")

    def test_damaged_state_is_refused(self):
        plugin = Plugin(CONFIG, TestHost())
        for damaged in [{}, {"window": 0, "users": {"ann": {}}}, {"window": 0, "users": []}]:
            with self.assertRaises(StateError):
                plugin.restore(damaged, VERSION)
        with self.assertRaises(UnsupportedVersion):
            plugin.restore(plugin.snapshot(), VERSION + 1)

    def test_the_state_is_bounded(self):
        host = TestHost()
        plugin = Plugin(CONFIG, host)
        crowd = [("ann", 1), ("bob", 1), ("cid", 1), ("cid", 1), ("cid", 1)]
        self.assertEqual(alerts(plugin, crowd), [])
        self.assertEqual(len(host.lines), 1)


if __name__ == "__main__":
    unittest.main()
