//! Limits of connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use enfilade_core::unpoisoned;

/// Counts connections, in total and for each peer.
#[derive(Debug, Default)]
pub(super) struct Admission {
    counts: Mutex<Counts>,
    limit: usize,
    limit_per_peer: Option<usize>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    peers: HashMap<IpAddr, usize>,
}

/// The place of one connection, freed when it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    peer: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limit: usize, limit_per_peer: Option<usize>) -> Admission {
        Admission {
            counts: Mutex::default(),
            limit,
            limit_per_peer,
        }
    }

    /// Takes a place for a connection from this peer, if one is free.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Admitted> {
        // A Unix socket has no distinguishable peers.
        let counted = peer.filter(|_| self.limit_per_peer.is_some());
        let mut counts = unpoisoned(self.counts.lock());
        if counts.all >= self.limit {
            return None;
        }
        if let (Some(peer), Some(limit)) = (counted, self.limit_per_peer) {
            let count = counts.peers.get(&peer).copied().unwrap_or_default();
            if count >= limit {
                return None;
            }
            counts.peers.insert(peer, count + 1);
        }
        counts.all += 1;
        Some(Admitted {
            admission: self.clone(),
            peer: counted,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let counts = &self.admission.counts;
        let mut counts = unpoisoned(counts.lock());
        counts.all -= 1;
        let Some(peer) = self.peer else {
            return;
        };
        match counts.peers.get_mut(&peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = counts.peers.remove(&peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_by_peer() {
        let admission = Arc::new(Admission::new(3, Some(2)));
        let peer = |last| Some(IpAddr::from([192, 0, 2, last]));
        let first = admission.admit(peer(1)).unwrap();
        let second = admission.admit(peer(1)).unwrap();
        assert!(admission.admit(peer(1)).is_none());
        let third = admission.admit(peer(2)).unwrap();
        assert!(admission.admit(peer(3)).is_none());
        drop(first);
        let unix = admission.admit(None).unwrap();
        assert!(admission.admit(peer(1)).is_none());
        drop((second, third, unix));
        let counts = admission.counts.lock().unwrap();
        assert_eq!((counts.all, counts.peers.len()), (0, 0));
    }
}
