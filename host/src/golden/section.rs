//! Custom sections of a component, read from bytes that nobody has checked.

/// Bytes that all golden cases of a component may take: they are read and run before every swap.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// Before the first section stand `\0asm`, a version and the layer of components.
const HEADER_BYTES: usize = 8;
/// A custom section: a name, then anything.
const CUSTOM: u8 = 0;

/// Why the sections cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// They end, or a length is none, at this byte.
    Damaged { at: usize },
    /// More than [`BYTES_MAX`].
    TooLarge { n_bytes: usize },
}

/// The contents of every custom section of that name at the top level, in order. What is nested
/// belongs to other components and modules, and is stepped over.
pub(super) fn custom<'a>(component: &'a [u8], name: &str) -> Result<Vec<&'a [u8]>, Problem> {
    let mut reader = Reader { bytes: component, at: 0 };
    reader.take(HEADER_BYTES)?;
    let (mut found, mut n_bytes) = (Vec::new(), 0);
    while reader.at < component.len() {
        let id = reader.byte()?;
        let section = reader.sized()?;
        if id != CUSTOM {
            continue;
        }
        let mut inside = Reader { bytes: section, at: 0 };
        // A name that is damaged is another name: the section is not ours.
        if inside.sized() != Ok(name.as_bytes()) {
            continue;
        }
        let content = section.get(inside.at..).unwrap_or_default();
        n_bytes += content.len();
        if n_bytes > BYTES_MAX {
            return Err(Problem::TooLarge { n_bytes });
        }
        found.push(content);
    }
    Ok(found)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8], Problem> {
        let damaged = Problem::Damaged { at: self.at };
        let end = self.at.checked_add(n_bytes).ok_or(damaged)?;
        let taken = self.bytes.get(self.at..end).ok_or(damaged)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        let at = self.at;
        self.take(1)?.first().copied().ok_or(Problem::Damaged { at })
    }

    /// A length, and so many bytes.
    fn sized(&mut self) -> Result<&'a [u8], Problem> {
        let n_bytes = self.length()?;
        self.take(n_bytes)
    }

    /// LEB128 of 32 bits: seven bits a byte, the lowest first; at most five bytes.
    fn length(&mut self) -> Result<usize, Problem> {
        let at = self.at;
        let mut length = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let length = u32::try_from(length).map_err(|_| Problem::Damaged { at })?;
                return usize::try_from(length).map_err(|_| Problem::Damaged { at });
            }
        }
        Err(Problem::Damaged { at })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A section as `plugin build` appends it.
    pub(in crate::golden) fn section(id: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let inside = [&leb(name.len()), name.as_bytes(), content].concat();
        [&[id][..], &leb(inside.len()), &inside].concat()
    }

    #[test]
    fn sections_of_the_name_are_found_at_the_top_level() {
        let nested = section(0, "golden", b"nested");
        let component = [
            HEADER,
            &section(0, "golden", b"one"),
            &section(1, "golden", b"a core module"),
            &section(4, "", &nested),
            &section(0, "other", b"x"),
            &section(0, "golden", &[b'y'; 300]),
        ]
        .concat();
        assert_eq!(custom(&component, "golden").unwrap(), [b"one".as_slice(), &[b'y'; 300]]);
        assert_eq!(custom(HEADER, "golden").unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn hostile_bytes_are_refused_and_never_panic() {
        let whole = [HEADER, &section(0, "golden", b"one"), &section(9, "", &[7; 200])].concat();
        for end in 0..whole.len() {
            let cut = custom(&whole[..end], "golden");
            let is_boundary = end == 8 || end == 8 + 2 + 10;
            assert_eq!(cut.is_ok(), is_boundary, "cut at {end}: {cut:?}");
        }
        for tail in [
            &[0, 0xff, 0xff, 0xff, 0xff, 0x0f][..],
            &[0, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            &[0, 0xff],
            &[0],
        ] {
            let bytes = [HEADER, tail].concat();
            assert!(matches!(custom(&bytes, "golden"), Err(Problem::Damaged { .. })), "{tail:?}");
        }
        // A name longer than its section, or none at all: a section of another name.
        for inside in [&[0, 0][..], &[0, 1, 9], &[0, 3, 200, 200, 200]] {
            assert_eq!(custom(&[HEADER, inside].concat(), "golden").unwrap().len(), 0);
        }
        let large = [HEADER, &section(0, "golden", &vec![b' '; BYTES_MAX + 1])].concat();
        assert_eq!(custom(&large, "golden"), Err(Problem::TooLarge { n_bytes: BYTES_MAX + 1 }));
        let halves = section(0, "golden", &vec![b' '; BYTES_MAX / 2 + 1]);
        let large = [HEADER, &halves, &halves].concat();
        assert!(custom(&large, "golden").is_err(), "the bound is for all of them");
    }

    #[test]
    fn any_bytes_give_an_answer() {
        // A simple generator: the same bytes on every machine.
        let mut seed = 0x1234_5678_9abc_def0_u64;
        for _ in 0..2000 {
            let mut bytes = HEADER.to_vec();
            for _ in 0..64 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((seed >> 56) as u8 & if seed & 1 == 0 { 0x0f } else { 0xff });
            }
            let found = custom(&bytes, "");
            assert!(found.is_ok_and(|all| all.len() <= 32) || custom(&bytes, "x").is_err());
        }
    }
}
