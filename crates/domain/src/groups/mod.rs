//! Groups, their members, and the rules of who may see and change them.

mod manage;
mod members;
mod model;
mod policy;
mod ports;

pub use manage::GroupService;
pub use members::MemberService;
pub use model::{
    Description, Group, GroupChange, GroupName, GroupNameKey, GroupNamePrefix, GroupView, Member, NewGroup, NewMember,
    Role, Visibility,
};
pub use policy::{AddedSoFar, Admission, Departure, Entry, GroupAccess, GroupQuotas, next_owner};
pub use ports::{GroupRepository, MemberRepository};
#[cfg(feature = "mocks")]
pub use ports::{MockGroupRepository, MockMemberRepository};
