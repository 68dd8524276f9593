//! A body that is no content but what is done with the connection.

use crate::message::body::end::Watch;
use crate::message::body::{Body, Content};
use crate::message::upgrade::task::UpgradeTask;

impl Body {
    /// Whether this is no content but what an application does with the connection
    /// ([`Upgrade::respond`](crate::Upgrade::respond)).
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        matches!(self.content, Content::Upgrade(_))
    }

    /// The protocol that an upgrade changes to.
    pub(crate) fn upgrade_protocol(&self) -> Option<&str> {
        match &self.content {
            Content::Upgrade(task) => Some(task.protocol()),
            _ => None,
        }
    }

    /// Takes out what an application does with the connection, as gateways do. The end of this body is reported when
    /// that ends.
    pub fn take_upgrade(&mut self) -> Option<UpgradeTask> {
        match self.take_content() {
            Content::Upgrade(mut task) => {
                task.watch = std::mem::replace(&mut self.watch, Watch::none());
                Some(*task)
            }
            content => {
                self.content = content;
                None
            }
        }
    }
}

/// As [`take_upgrade`](Body::take_upgrade) took it out.
impl From<UpgradeTask> for Body {
    fn from(mut task: UpgradeTask) -> Body {
        let watch = std::mem::replace(&mut task.watch, Watch::none());
        Body {
            content: Content::Upgrade(Box::new(task)),
            watch,
        }
    }
}
