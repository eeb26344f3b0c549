//! The dependency descriptor of AV1 and VP9 (AV1 RTP specification, appendix A), carried through unread.
//!
//! It says which frames belong to which spatial layer; a receiver of several layers in one stream needs it, and gets the
//! whole stream, so that what the publisher wrote stays right.

use str0m::rtp::{ExtensionSerializer, ExtensionValues};

pub(crate) const URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Largest value the one-byte form of header extensions holds (RFC 8285 §4.2).
const ONE_BYTE_FORM: usize = 16;
/// Largest value of the two-byte form, and so of any.
const MAX_BYTES: usize = 255;

/// A packet's descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor(Box<[u8]>);

/// Reads and writes [`Descriptor`].
#[derive(Debug)]
pub(crate) struct DescriptorExtension;

impl ExtensionSerializer for DescriptorExtension {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(Descriptor(bytes)) = values.user_values.get::<Descriptor>() else { return 0 };
        let Some(target) = buf.get_mut(..bytes.len()) else { return 0 };
        target.copy_from_slice(bytes);
        bytes.len()
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        let fits = (1..=MAX_BYTES).contains(&buf.len());
        if fits {
            values.user_values.set(Descriptor(buf.into()));
        }
        fits
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<Descriptor>().is_some_and(|descriptor| descriptor.0.len() > ONE_BYTE_FORM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_as_it_came_in_the_form_it_needs() {
        for len in [1, 16, 17, 255] {
            let bytes: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let mut values = ExtensionValues::default();
            assert!(DescriptorExtension.parse_value(&bytes, &mut values));
            assert_eq!(DescriptorExtension.requires_two_byte_form(&values), len > 16);
            let mut out = [0; 300];
            assert_eq!(DescriptorExtension.write_to(&mut out, &values), len);
            assert_eq!(out[..len], bytes);
            assert_eq!(DescriptorExtension.write_to(&mut [], &values), 0, "no room, no extension");
        }
        assert!(!DescriptorExtension.parse_value(&[], &mut ExtensionValues::default()));
        assert!(!DescriptorExtension.requires_two_byte_form(&ExtensionValues::default()));
    }
}
