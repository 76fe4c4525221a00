//! The functions that make variants of a component, tried on bytes in place of one.

use anyhow::Result;
use audit_tests::hostile;

/// A component of one section, a core module, which holds nothing but a custom section with these bytes.
fn component(text: &[u8]) -> Vec<u8> {
    let module = module(text);
    let n_bytes = u8::try_from(module.len()).expect("a short text");
    [b"\0asm\x0d\0\x01\0", [1, n_bytes].as_slice(), module.as_slice()].concat()
}

fn module(text: &[u8]) -> Vec<u8> {
    let n_bytes = u8::try_from(text.len()).expect("a short text");
    [b"\0asm\x01\0\0\0", [0, n_bytes + 2, 1, b'n'].as_slice(), text].concat()
}

#[test]
fn patches_replace_every_text_and_change_no_length() -> Result<()> {
    let bytes = component(b"a@0.1.1 b@0.1.1");
    assert_eq!(hostile::with_abi(&bytes, "0.9.0")?, component(b"a@0.9.0 b@0.9.0"));
    for (from, to) in [("@0.1.1", "@0.10.0"), ("@0.2.0", "@0.9.0"), ("", "")] {
        assert!(hostile::patched(&bytes, from, to).is_err(), "{from} {to}");
    }
    let state = component(b"audit-host:plugin/state@0.1.1");
    assert_eq!(hostile::without_state(&state)?, component(b"audit-host:plugin/stale@0.1.1"));
    Ok(())
}

#[test]
fn the_mode_is_patched_where_its_marker_stands_once() -> Result<()> {
    let bytes = component(b"..MODE:transform-----------------#..");
    let detector = hostile::with_mode(&bytes, "detector+b")?;
    assert_eq!(detector, component(b"..MODE:detector+b----------------#.."));
    assert_eq!(hostile::with_mode(&detector, "transform")?, bytes);
    let twice = b"MODE:transform-----------------#MODE:transform-----------------#";
    let unusable: [&[u8]; 4] = [b"no marker", twice, b"MODE:transform-----#", b"MODE:"];
    for text in unusable {
        assert!(hostile::with_mode(&component(text), "detector").is_err());
    }
    assert!(hostile::with_mode(&bytes, "a-mode-of-more-than-26-byte").is_err());
    Ok(())
}

#[test]
fn padding_is_made_of_custom_sections() {
    let bytes = component(b"x");
    let padded = hostile::with_padding(&bytes, 300);
    let section = [0, 0xb4, 2, 7].into_iter().chain(*b"padding").chain([0; 300]);
    assert_eq!(padded, [bytes.clone(), section.collect()].concat());
    let n_bytes = 40 << 20;
    let large = hostile::with_padding(&bytes, n_bytes);
    assert!((n_bytes..n_bytes + 1024).contains(&large.len()), "{}", large.len());
}

#[test]
fn a_module_is_cut_out_and_a_file_cut_off() -> Result<()> {
    let bytes = component(b"the module");
    assert_eq!(hostile::core_module(&bytes)?, module(b"the module"));
    assert!(hostile::core_module(&module(b"the module")).is_err());
    assert_eq!(hostile::truncated(&bytes, 9)?, bytes[..9]);
    assert!(hostile::truncated(&bytes, bytes.len()).is_err());
    Ok(())
}
