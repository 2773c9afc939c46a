//! What is asked and answered, one JSON object a line.

use mvt_proto::{keyfile, recovery::RecoveryKit};
use serde::{Deserialize, Serialize};

use crate::{
    registry::Entry,
    store::{
        file::{Line, all_suites, suites_from_text},
        record::{Audit, Identity},
    },
};

/// A command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Enrol clients, all or none.
    Enroll {
        /// Who.
        clients: Vec<NewClient>,
        /// Pass over clients that stand there just so.
        skip_known: bool,
        /// Make a recovery kit, for a single client.
        recovery_kit: bool,
    },
    /// Clients by name.
    List {
        /// After this name.
        after: String,
    },
    /// One client.
    Show {
        /// Its name.
        name: String,
    },
    /// Revoke clients, all or none.
    Revoke {
        /// Their names.
        names: Vec<String>,
        /// Pass over names that no client has, and tell them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_unknown: bool,
    },
    /// Make a new recovery secret.
    RecoverKit {
        /// For whom.
        name: String,
    },
    /// Make a new ticket key.
    RotateTicketKey {
        /// Take the others out of the ring.
        #[serde(default)]
        void_others: bool,
    },
    /// Have every session of this node renew its keys.
    Renew {
        /// Over how long, s.
        within_s: u32,
    },
    /// The last changes.
    Audit {
        /// How many at most.
        count: usize,
    },
}

/// A client to be enrolled.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// Its name.
    pub name: String,
    /// Its public key, base64.
    pub public_key: String,
    /// With commas; empty means all.
    pub suites: String,
}

impl NewClient {
    /// A line of the authorized file.
    #[must_use]
    pub fn of_line(line: &Line) -> Self {
        let suites: Vec<_> = line.suites.iter().map(|suite| suite.name()).collect();
        let public_key = keyfile::key_to_text(&line.public_key);
        Self { name: line.name.clone(), public_key, suites: suites.join(",") }
    }

    /// With its key and suites read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Line, &'static str> {
        let public_key = keyfile::key_from_text(&self.public_key)
            .ok_or("a public key is the base64 of 32 bytes, 44 characters")?;
        let suites = if self.suites.is_empty() {
            all_suites()
        } else {
            suites_from_text(&self.suites)
                .ok_or("suites are hs256, gcm256, with commas, without repetition")?
        };
        Ok(Line { name: self.name.clone(), public_key, suites })
    }
}

/// What came of a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Clients were enrolled.
    Enrolled {
        /// How many.
        enrolled: usize,
        /// How many stood there just so.
        known: usize,
        /// The kit that was asked for.
        kit: Option<Kit>,
        /// The change after which it holds.
        revision: u64,
    },
    /// Clients by name.
    Clients {
        /// Who.
        clients: Vec<ClientView>,
        /// Whether there are more after the last one.
        is_more: bool,
    },
    /// Clients were revoked, and no shard has a session of theirs.
    Revoked {
        /// How many.
        revoked: usize,
        /// The change after which it holds.
        revision: u64,
        /// Names that were passed over.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unknown: Vec<String>,
    },
    /// A recovery secret was made.
    Kit(Kit),
    /// The last changes.
    Audit {
        /// Oldest first.
        lines: Vec<AuditView>,
    },
    /// A new ticket key is there.
    TicketKey {
        /// Its number.
        id: u32,
    },
    /// Every shard was told to have its sessions renew.
    Renewing {
        /// Over how long, s.
        within_s: u32,
    },
    /// Not done.
    Refused {
        /// The exit status of the command.
        status: u8,
        /// Why, one line.
        text: String,
    },
}

/// A client as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientView {
    /// Who it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// What sessions and tickets call it, hex.
    pub client_id: String,
    /// Whether a recovery secret was made for it.
    pub has_recovery_kit: bool,
}

impl From<&Entry> for ClientView {
    fn from(entry: &Entry) -> Self {
        Self {
            client_id: mvt_proto::ClientId::of_name(&entry.identity.name).to_string(),
            has_recovery_kit: entry.has_recovery(),
            identity: entry.identity.clone(),
        }
    }
}

/// A change as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditView {
    /// Its number.
    pub revision: u64,
    /// Who, when, what.
    #[serde(flatten)]
    pub line: Audit,
}

/// What a client needs to recover without its key (SPEC §13), as the text of a [`RecoveryKit`]. Secret: shown once, kept by the
/// client alone.
#[derive(Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct Kit {
    /// Its name.
    pub name: String,
    /// The lines of the kit.
    pub text: String,
}

impl Kit {
    /// Of a kit just made.
    #[must_use]
    pub fn new(kit: &RecoveryKit) -> Self {
        Self { name: kit.name.clone(), text: (*kit.to_text()).clone() }
    }
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kit").field("name", &self.name).finish_non_exhaustive()
    }
}
