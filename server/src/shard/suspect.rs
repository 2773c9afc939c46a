//! Who most strangers of an accept queue are, found by vote: one word of memory for any number of them.

use std::net::IpAddr;

use mvt_sys::port_steering::Source;

use crate::limits::STRANGERS_FREE;

/// A majority, if there is one (Boyer and Moore): each of its own votes for it, each other one against it.
#[derive(Debug, Clone, Copy, Default)]
struct Vote {
    leader: Option<Source>,
    lead: u32,
}

impl Vote {
    fn cast(&mut self, source: Source) {
        if self.leader == Some(source) {
            self.lead = self.lead.saturating_add(1);
        } else if self.lead == 0 {
            (self.leader, self.lead) = (Some(source), 1);
        } else {
            self.lead -= 1;
        }
    }

    fn winner(&self) -> Option<Source> {
        self.leader.filter(|_| self.lead > STRANGERS_FREE)
    }
}

/// By address, and by prefix.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Suspect {
    address: Vote,
    prefix: Vote,
}

impl Suspect {
    pub(super) fn note(&mut self, address: IpAddr) {
        self.address.cast(Source::address(address));
        self.prefix.cast(Source::prefix(address));
    }

    pub(super) const fn forget_half(&mut self) {
        self.address.lead /= 2;
        self.prefix.lead /= 2;
    }

    /// One address, or else one prefix, that has brought far more strangers than the rest of its queue.
    pub(super) fn name(&self) -> Option<Source> {
        self.address.winner().or_else(|| self.prefix.winner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(addresses: impl Iterator<Item = [u8; 4]>) -> Option<Source> {
        let mut suspect = Suspect::default();
        addresses.for_each(|address| suspect.note(address.into()));
        suspect.name()
    }

    #[test]
    fn an_address_or_a_prefix_with_most_strangers_is_named_and_no_other() {
        let flood = |count: u8| {
            (0..count).flat_map(move |number| [[192, 0, 2, 7], [192, 0, 2, 7], [10, number, 0, 1]])
        };
        assert_eq!(named(flood(40)), Some(Source::address([192, 0, 2, 7].into())));
        assert_eq!(named(flood(8)), None, "too few");
        assert_eq!(
            named((0..100).map(|number| [192, 0, 2, number])),
            Some(Source::prefix([192, 0, 2, 0].into()))
        );
        assert_eq!(named((0..200).map(|number| [10, number, 0, 1])), None, "from everywhere");
    }
}
