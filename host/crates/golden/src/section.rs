//! The sections of a WebAssembly binary: read from untrusted bytes, and custom ones appended.

use std::iter::FusedIterator;
use std::ops::Range;

/// The id of a custom section: a name, then anything.
const CUSTOM: u8 = 0;
/// The id of the section of a module that holds the bodies of functions.
pub const CODE: u8 = 10;
const MAGIC: &[u8] = b"\0asm";
/// Magic number, version and layer.
const HEADER_BYTES: usize = 8;

/// The sections end, or a length is not valid, at this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {at}")]
pub struct Damaged {
    pub at: usize,
}

/// One section of a binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    pub id: u8,
    /// The name of a custom section. Empty for other sections, and where the name is damaged.
    pub name: &'a str,
    /// The content, without the name.
    pub payload: &'a [u8],
    /// The place of the whole section, with id and length.
    pub at: Range<usize>,
}

/// The sections at the top level, in order. What is nested belongs to other components and modules, and
/// is stepped over. Lazy, as a hostile binary may have tens of millions of sections. After an error there
/// is no next section.
pub fn sections(binary: &[u8]) -> Sections<'_> {
    Sections { reader: Reader { bytes: binary, at: 0 }, has_ended: false }
}

/// See [`sections`].
#[derive(Debug, Clone)]
pub struct Sections<'a> {
    reader: Reader<'a>,
    has_ended: bool,
}

impl<'a> Sections<'a> {
    fn step(&mut self) -> Result<Option<Section<'a>>, Damaged> {
        let reader = &mut self.reader;
        if reader.at == 0 {
            let header = reader.take(HEADER_BYTES)?;
            if !header.starts_with(MAGIC) {
                return Err(Damaged { at: 0 });
            }
        }
        if reader.at == reader.bytes.len() {
            return Ok(None);
        }
        let start = reader.at;
        let id = reader.byte()?;
        let payload = reader.sized()?;
        let section = Section { id, name: "", payload, at: start..reader.at };
        Ok(Some(if id == CUSTOM { named(section) } else { section }))
    }
}

/// A custom section with its name split off.
fn named(section: Section<'_>) -> Section<'_> {
    let mut inside = Reader { bytes: section.payload, at: 0 };
    let name = inside.sized().ok().and_then(|name| std::str::from_utf8(name).ok());
    match (name, section.payload.get(inside.at..)) {
        (Some(name), Some(payload)) => Section { name, payload, ..section },
        _ => section,
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let step = self.step().transpose();
        self.has_ended = !matches!(step, Some(Ok(_)));
        step
    }
}

impl FusedIterator for Sections<'_> {}

#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8], Damaged> {
        let damaged = Damaged { at: self.at };
        let end = self.at.checked_add(n_bytes).ok_or(damaged)?;
        let taken = self.bytes.get(self.at..end).ok_or(damaged)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let at = self.at;
        self.take(1)?.first().copied().ok_or(Damaged { at })
    }

    /// A length, and that many bytes.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Damaged> {
        let n_bytes = self.length()?;
        self.take(n_bytes)
    }

    /// LEB128 of 32 bits: seven bits a byte, the lowest first; at most five bytes.
    pub(crate) fn length(&mut self) -> Result<usize, Damaged> {
        let at = self.at;
        let mut length = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let length = u32::try_from(length).map_err(|_| Damaged { at })?;
                return usize::try_from(length).map_err(|_| Damaged { at });
            }
        }
        Err(Damaged { at })
    }
}

/// Appends a custom section to a module or a component. Engines ignore those that they do not know.
pub fn append_custom(binary: &mut Vec<u8>, name: &str, payload: &[u8]) {
    let mut content = Vec::with_capacity(name.len() + 5);
    push_length(&mut content, name.len());
    content.extend_from_slice(name.as_bytes());
    binary.push(CUSTOM);
    push_length(binary, content.len() + payload.len());
    binary.extend_from_slice(&content);
    binary.extend_from_slice(payload);
}

pub(crate) fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn custom(name: &str, payload: &[u8]) -> Vec<u8> {
        let mut section = Vec::new();
        append_custom(&mut section, name, payload);
        section
    }

    /// A section of another kind.
    fn other(id: u8, payload: &[u8]) -> Vec<u8> {
        let mut section = vec![id];
        push_length(&mut section, payload.len());
        section.extend_from_slice(payload);
        section
    }

    /// The payloads of the sections of a name.
    fn found<'a>(binary: &'a [u8], name: &str) -> Result<Vec<&'a [u8]>, Damaged> {
        let all: Vec<_> = sections(binary).collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|s| s.name == name).map(|s| s.payload).collect())
    }

    #[test]
    fn sections_are_found_at_the_top_level_with_their_places() {
        let long = [b'y'; 300];
        let binary = [
            COMPONENT,
            &custom("golden", b"one"),
            &other(1, &custom("golden", b"of a core module")),
            &other(4, &custom("golden", b"nested")),
            &custom("other", b""),
            &custom("golden", &long),
        ]
        .concat();
        assert_eq!(found(&binary, "golden").unwrap(), [b"one".as_slice(), &long]);
        assert_eq!(found(&binary, "other").unwrap(), [b"".as_slice()]);
        assert_eq!(found(COMPONENT, "golden").unwrap(), Vec::<&[u8]>::new());
        let places: Vec<_> = sections(&binary).map(|section| section.unwrap().at).collect();
        assert_eq!((places[0].start, places[4].end), (8, binary.len()));
        assert!(places.windows(2).all(|pair| pair[0].end == pair[1].start), "{places:?}");
    }

    #[test]
    fn hostile_bytes_are_refused_and_never_panic() {
        let whole = [COMPONENT, &custom("golden", b"one"), &other(9, &[7; 200])].concat();
        for end in 0..whole.len() {
            let cut = found(&whole[..end], "golden");
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
            assert!(found(&[COMPONENT, tail].concat(), "golden").is_err(), "{tail:?}");
        }
        // A name longer than its section, no name at all, or none in UTF-8: a section without a name.
        for inside in [&[0, 0][..], &[0, 1, 9], &[0, 3, 200, 200, 200], &[0, 2, 1, 0xff]] {
            assert_eq!(found(&[COMPONENT, inside].concat(), "golden").unwrap().len(), 0);
            assert_eq!(found(&[COMPONENT, inside].concat(), "").unwrap().len(), 1);
        }
        for bytes in [b"".as_slice(), b"\0asm", b"not wasm at all"] {
            assert_eq!(found(bytes, ""), Err(Damaged { at: 0 }), "{bytes:?}");
        }
    }

    #[test]
    fn any_bytes_give_an_answer() {
        // A simple generator: the same bytes on every machine.
        let mut seed = 0x1234_5678_9abc_def0_u64;
        for _ in 0..2000 {
            let mut bytes = COMPONENT.to_vec();
            for _ in 0..64 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((seed >> 56) as u8 & if seed & 1 == 0 { 0x0f } else { 0xff });
            }
            assert!(sections(&bytes).count() <= 33);
        }
    }
}
