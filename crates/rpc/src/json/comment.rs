//! What the contract's files say in prose.

use prost_reflect::FileDescriptor;

/// The comment before, or else behind, what stands at this path of the file; none where the descriptor set was
/// written without source info.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref()?;
    let place = source.location.iter().find(|place| place.path == path)?;
    let text = place.leading_comments.as_ref().or(place.trailing_comments.as_ref())?;
    let lines: Vec<_> = text.trim().lines().map(str::trim).collect();
    Some(lines.join("\n")).filter(|text| !text.is_empty())
}
