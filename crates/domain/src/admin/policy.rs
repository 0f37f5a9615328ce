//! What admins may do.

use super::model::{Actor, AdminCommand};
use crate::error::{Conflict, Forbidden, Result};
use crate::users::{ServerPolicy, User};

/// Whether the actor may execute the command. Adapters ask inside the transaction that executes it; `user` is the
/// actor's account as that transaction sees it, `None` for the command line.
///
/// # Errors
/// [`Forbidden::NotAnAdmin`], also for an admin who was disabled or deleted in the meantime; [`Conflict::OwnAccount`].
pub fn may_execute(policy: &ServerPolicy, actor: &Actor, user: Option<&User>, command: &AdminCommand) -> Result<()> {
    let Actor::Admin(caller) = actor else { return Ok(()) };
    let is_admin = user.is_some_and(|user| {
        user.deleted_at.is_none() && user.disabled_at.is_none() && policy.is_admin(&user.username, user.role)
    });
    match command {
        _ if !is_admin => Forbidden::NotAnAdmin.err(),
        // Only another admin or the command line could undo it.
        AdminCommand::Disable(target) if *target == caller.user => Conflict::OwnAccount.err(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::testing::{account, at, caller, user};
    use crate::users::{AdminNames, UserRole};

    #[test]
    fn only_who_is_an_admin_at_that_moment_acts() {
        let policy = ServerPolicy { admins: AdminNames::parse(["boss"]).unwrap(), ..ServerPolicy::default() };
        // What the token said does not count any more.
        let actor = Actor::Admin(caller(1));
        let disable = AdminCommand::Disable(user(2));
        let plain = account(1, "ada");
        for (known, allowed) in [
            (None, false),
            (Some(plain.clone()), false),
            (Some(User { role: UserRole::Admin, ..plain.clone() }), true),
            (Some(account(1, "BOSS")), true),
            (Some(User { role: UserRole::Admin, disabled_at: Some(at(2)), ..plain.clone() }), false),
            (Some(User { disabled_at: Some(at(2)), ..account(1, "boss") }), false),
            (Some(User { deleted_at: Some(at(2)), ..account(1, "boss") }), false),
        ] {
            let outcome = may_execute(&policy, &actor, known.as_ref(), &disable);
            assert_eq!(outcome.is_ok(), allowed, "{known:?}");
            assert!(allowed || matches!(outcome, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
        }
        assert!(may_execute(&policy, &Actor::CommandLine, None, &disable).is_ok());
    }

    #[test]
    fn nobody_disables_oneself() {
        let policy = ServerPolicy { admins: AdminNames::parse(["ada"]).unwrap(), ..ServerPolicy::default() };
        let (actor, ada) = (Actor::Admin(caller(1)), account(1, "ada"));
        let may = |command| may_execute(&policy, &actor, Some(&ada), &command);
        assert!(matches!(may(AdminCommand::Disable(user(1))), Err(Error::Conflict(Conflict::OwnAccount))));
        assert!(may(AdminCommand::Disable(user(2))).is_ok());
        assert!(may(AdminCommand::EndSessions(user(1))).is_ok());
    }
}
