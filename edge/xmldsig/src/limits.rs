//! How much of a stranger's document is read.

/// Bounds on what is read; a document beyond one of them is refused before it costs anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a document, of one detached content, and of the canonical bytes of one reference.
    pub bytes: usize,
    /// Elements inside one another.
    pub depth: usize,
    /// Nodes, attributes and namespace declarations of a document together.
    pub items: usize,
    /// Attributes and namespace declarations of one element.
    pub attributes: usize,
    /// Bytes of one name.
    pub name: usize,
    /// Signatures in one document.
    pub signatures: usize,
    /// References in one signature.
    pub references: usize,
    /// Certificates in one signature.
    pub certificates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 256,
            items: 1_000_000,
            attributes: 256,
            name: 1024,
            signatures: 8,
            references: 16,
            certificates: 8,
        }
    }
}
