//! Order and cancel buckets by volume tier. Source: polymarket.md §6.2.

/// Tier of a signer, from its wallet's volume of 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Everyone starts here.
    Standard,
    /// From $30 k.
    Copper,
    /// From $50 k.
    Bronze,
    /// From $100 k.
    Silver,
    /// From $500 k.
    Gold,
    /// From $2.5 M.
    Platinum,
    /// From $5 M.
    Diamond,
    /// From $10 M.
    Elite,
}

/// Refill and size of one bucket, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second.
    pub per_s: u32,
    /// Tokens it holds at most.
    pub burst: u32,
}

const fn rate(per_s: u32, burst: u32) -> Rate {
    Rate { per_s, burst }
}

impl Tier {
    /// Every tier, lowest first.
    pub const ALL: [Self; 8] = [
        Self::Standard,
        Self::Copper,
        Self::Bronze,
        Self::Silver,
        Self::Gold,
        Self::Platinum,
        Self::Diamond,
        Self::Elite,
    ];

    /// Read the venue's word, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tier| text.trim().eq_ignore_ascii_case(tier.as_str()))
    }

    /// The venue's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Copper => "copper",
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
            Self::Platinum => "platinum",
            Self::Diamond => "diamond",
            Self::Elite => "elite",
        }
    }

    /// The bucket that places are taken from.
    #[must_use]
    pub const fn orders(self) -> Rate {
        match self {
            Self::Standard => rate(40, 60),
            Self::Copper => rate(60, 90),
            Self::Bronze => rate(80, 120),
            Self::Silver => rate(200, 300),
            Self::Gold => rate(400, 600),
            Self::Platinum => rate(450, 675),
            Self::Diamond => rate(525, 787),
            Self::Elite => rate(600, 900),
        }
    }

    /// The bucket that cancels are taken from.
    #[must_use]
    pub const fn cancels(self) -> Rate {
        match self {
            Self::Standard => rate(80, 120),
            Self::Copper => rate(120, 180),
            Self::Bronze => rate(160, 240),
            Self::Silver => rate(400, 600),
            Self::Gold => rate(800, 1_200),
            Self::Platinum => rate(900, 1_350),
            Self::Diamond => rate(1_050, 1_575),
            Self::Elite => rate(1_200, 1_800),
        }
    }

    /// Whether a cancel-all may take the cancel bucket below zero; else the venue floors it there.
    #[must_use]
    pub const fn has_debt(self) -> bool {
        matches!(
            self,
            Self::Standard | Self::Copper | Self::Bronze | Self::Silver | Self::Gold
        )
    }
}
