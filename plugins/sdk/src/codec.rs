//! A compact binary form for the state of detectors: integers of variable length (LEB128, signed
//! ones folded by zigzag) and byte strings with their length before them.
//!
//! The bytes may be damaged or hostile. Reading never panics and never allocates by a length that the bytes
//! claim. It returns `None`, which a detector turns into `RestoreError::Corrupt`.

/// Writes a state.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// With capacity for a number of bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends an unsigned integer: 1 to 10 bytes.
    pub fn uint(&mut self, mut value: u64) {
        if value < 0x80 {
            self.bytes.push(value as u8);
            return;
        }
        // Appended at once: a capacity check per byte would dominate the time of a large state.
        let (mut encoded, mut length) = ([0_u8; 10], 0);
        while value >= 0x80 {
            encoded[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        encoded[length] = value as u8;
        self.bytes.extend_from_slice(&encoded[..=length]);
    }

    /// Appends a signed integer, short if it is near 0.
    pub fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Appends bytes with their length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.uint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// The state.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a state.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the start of a state.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// An unsigned integer. `None` at the end, above 64 bits, and for a longer form than `uint` writes.
    pub fn uint(&mut self) -> Option<u64> {
        // Most numbers of a state are small.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Some(u64::from(byte));
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                let shortest = byte != 0 || shift == 0;
                return shortest.then_some(value);
            }
        }
        None
    }

    /// A signed integer.
    pub fn int(&mut self) -> Option<i64> {
        let folded = self.uint()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A count of items of at least one byte each: never more than the remaining bytes.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.uint()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    /// Bytes with their length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }

    /// Whether nothing is left. Bytes after the end mean that it is not a state.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ints = [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN];
        let uints = [0, 127, 128, 16_383, 16_384, u64::MAX];
        let mut writer = Writer::default();
        for value in ints {
            writer.int(value);
        }
        for value in uints {
            writer.uint(value);
        }
        writer.bytes(b"");
        writer.bytes(b"key");
        let state = writer.finish();
        let mut reader = Reader::new(&state);
        assert!(ints.iter().all(|&value| reader.int() == Some(value)));
        assert!(uints.iter().all(|&value| reader.uint() == Some(value)));
        assert_eq!(reader.bytes(), Some(&b""[..]));
        assert_eq!(reader.bytes(), Some(&b"key"[..]));
        assert!(reader.is_at_end());
    }

    #[test]
    fn damage_is_refused() {
        let cases: [&[u8]; 6] = [
            b"",
            &[0x80],
            &[0x80, 0x00],
            &[0xff; 10],
            &[0xff; 11],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ];
        for bytes in cases {
            assert_eq!(Reader::new(bytes).uint(), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[5, 1, 2]).bytes(), None);
        assert_eq!(Reader::new(&[200, 1, 2]).count(), None);
    }
}
