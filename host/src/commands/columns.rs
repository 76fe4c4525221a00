//! Text as commands print it.

use audit_core::text::clipped;

/// Text of a table, without what could control a terminal.
pub(super) fn clean(text: &str) -> String {
    clipped(text, usize::MAX)
}

/// A count and its noun: `1 row`, `2 rows`.
pub(super) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Bytes in the largest unit of which there is one.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = bytes / (unit / 10).max(1);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Seconds in the largest unit of which there are two.
pub(super) fn ago(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    match units.iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

/// A time in milliseconds since 1970.
pub(super) fn time_of_ms(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |time| format!("{time:.0}"))
}

/// A table of aligned columns.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..n_columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        for (idx, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            // By hand: `{:width$}` panics for more than 65,535, and a table may hold a text as long as that. Nothing
            // is behind the last one.
            if idx + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_control_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let row = |cells: [&str; 3]| cells.map(ToOwned::to_owned).to_vec();
        let rows = [row(["A", "LONG", "B"]), row(["é", "x", ""]), row(["", "", "z"])];
        assert_eq!(columns(&rows), "A  LONG  B\né  x\n         z\n");
        let long = "x".repeat(100_000);
        let rows = [row([&long, "a", &long]), row(["b", "c", "d"])];
        assert_eq!(columns(&rows).lines().nth(1).map(str::len), Some(100_000 + 2 + 1 + 2 + 1));
    }

    #[test]
    fn sizes_and_ages_have_one_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(ago(seconds), text);
        }
    }
}
