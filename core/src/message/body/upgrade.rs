//! A body that stands for an upgraded connection instead of content.

use std::mem::ManuallyDrop;

use crate::message::body::end::Watch;
use crate::message::body::{Body, Content};
use crate::message::upgrade::task::UpgradeTask;

impl Body {
    /// Whether this body is an upgrade instead of content; see [`Upgrade::respond`](crate::Upgrade::respond).
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        matches!(*self.content, Content::Upgrade(_))
    }

    /// The protocol of the upgrade.
    pub(crate) fn upgrade_protocol(&self) -> Option<&str> {
        match &*self.content {
            Content::Upgrade(task) => Some(task.protocol()),
            _ => None,
        }
    }

    /// Takes the upgrade's task, as gateways do. The end of this body is reported when the task ends.
    pub fn take_upgrade(&mut self) -> Option<UpgradeTask> {
        match self.take_content() {
            Content::Upgrade(mut task) => {
                task.watch = std::mem::replace(&mut self.watch, Watch::none());
                Some(*task)
            }
            content => {
                *self.content = content;
                None
            }
        }
    }
}

/// The inverse of [`take_upgrade`](Body::take_upgrade).
impl From<UpgradeTask> for Body {
    fn from(mut task: UpgradeTask) -> Body {
        let watch = std::mem::replace(&mut task.watch, Watch::none());
        Body {
            content: ManuallyDrop::new(Content::Upgrade(Box::new(task))),
            watch,
        }
    }
}
