//! The instruction sets an engine can run on.

use core::fmt;

/// A way of computing SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// The `sha2` crate, one lane; it uses the SHA instructions of x86 and ARM where it finds them.
    Portable,
    /// The x86 SHA extensions, two independent lanes interleaved.
    ShaNi,
    /// Eight lanes of 32 bits.
    Avx2,
    /// Sixteen lanes of 32 bits, with rotates and three-input logic in one instruction.
    Avx512,
}

impl Path {
    /// Every path, whether this CPU has it or not.
    pub const ALL: [Self; 4] = [Self::Portable, Self::ShaNi, Self::Avx2, Self::Avx512];

    /// A short name for logs, metrics and benchmark rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
