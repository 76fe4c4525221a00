//! Drives the check of columns that guests return by arbitrary bytes: for `fuzz/`, and with a seed in the
//! unit tests.

use arrow::array::ArrayRef;

use crate::wasm::abi::audit_host::plugin::types;
use crate::wasm::abi::lift;

/// Rows of a column: enough for every boundary of a validity byte.
const ROWS_MAX: usize = 40;

/// Lifts a column that a hostile guest could have made from the bytes. It must be refused or become a valid
/// Arrow array.
///
/// # Panics
/// If an invalid array comes out.
pub fn lift_column(data: &[u8]) {
    lifted(data);
}

fn lifted(data: &[u8]) -> Option<ArrayRef> {
    let mut bytes = Bytes(data);
    let n_rows = bytes.small() % ROWS_MAX;
    let column = types::ColumnResult {
        name: "c".to_owned(),
        validity: (bytes.small() % 2 == 1).then(|| bytes.list(Bytes::byte)),
        values: match bytes.small() % 6 {
            0 => types::ColumnValuesResult::Utf8(types::Utf8ValuesResult {
                offsets: bytes.list(Bytes::offset),
                values: bytes.list(Bytes::byte),
            }),
            1 => types::ColumnValuesResult::Int32(bytes.list(Bytes::offset)),
            2 => types::ColumnValuesResult::Int64(bytes.list(|bytes| i64::from(bytes.offset()))),
            3 => types::ColumnValuesResult::Float64(bytes.list(|bytes| f64::from(bytes.offset()))),
            4 => types::ColumnValuesResult::Boolean(bytes.list(Bytes::byte)),
            _ => types::ColumnValuesResult::TimestampUs(
                bytes.list(|bytes| i64::from(bytes.offset()) << 32),
            ),
        },
    };
    let array = lift(column, n_rows).ok()?;
    assert_eq!(array.len(), n_rows, "rows of a lifted column");
    let checked = array.to_data().validate_full();
    assert!(checked.is_ok(), "a lifted column is not a valid array: {checked:?}");
    Some(array)
}

/// An endless sequence of bytes: zeros follow the given ones.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn small(&mut self) -> usize {
        usize::from(self.byte())
    }

    /// Mostly small and growing numbers, as offsets are; now and then any number.
    fn offset(&mut self) -> i32 {
        match self.byte() {
            255 => i32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            small => i32::from(small) - 2,
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let n = self.small() % (ROWS_MAX + 4);
        (0..n).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Makes a failing run repeatable.
    const SEED: u64 = 20_261_123;
    const INPUTS: usize = 200_000;

    #[test]
    fn no_column_of_a_guest_panics_or_becomes_an_invalid_array() {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut data = [0_u8; 128];
        let mut n_lifted = 0;
        for _ in 0..INPUTS {
            let n = random.random_range(0..data.len());
            let part = &mut data[..n];
            random.fill(part);
            // Text that is mostly ASCII, and offsets that mostly grow: deep checks must be reached too.
            if random.random_bool(0.7) {
                for (at, byte) in part.iter_mut().enumerate().skip(4) {
                    *byte = if random.random_bool(0.9) { (at % 40) as u8 } else { *byte };
                }
            }
            n_lifted += usize::from(lifted(part).is_some());
        }
        assert!(n_lifted > 0, "every column was refused");
    }

    #[test]
    fn a_valid_column_is_lifted() {
        // Two rows, no validity, text, three offsets 0 1 2 (each + 2), two bytes.
        let texts = lifted(&[2, 0, 0, 3, 2, 3, 4, 2, b'a', b'b']).unwrap();
        assert!(texts.as_string::<i32>().iter().eq([Some("a"), Some("b")]));
        let column = types::ColumnResult {
            name: "c".to_owned(),
            validity: None,
            values: types::ColumnValuesResult::Int32(vec![1, 2]),
        };
        assert!(lift(column, 2).is_ok());
    }
}
