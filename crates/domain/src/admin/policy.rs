//! Who may do what to whom.

use super::model::{Actor, Measure};
use crate::error::{Conflict, Forbidden, Result};
use crate::users::{ServerPolicy, User};

/// Whether the actor may do it, to be asked inside the transaction that does; `user` is the actor's account as it is
/// there, where the actor is a user.
///
/// # Errors
/// [`Forbidden::NotAnAdmin`], also for an admin disabled or deleted meanwhile; [`Conflict::OwnAccount`].
pub fn may_carry_out(policy: &ServerPolicy, actor: &Actor, user: Option<&User>, measure: &Measure) -> Result<()> {
    let Actor::Admin(caller) = actor else { return Ok(()) };
    let in_charge = user.is_some_and(|user| {
        user.deleted_at.is_none() && user.disabled_at.is_none() && policy.is_admin(&user.username, user.role)
    });
    match measure {
        _ if !in_charge => Forbidden::NotAnAdmin.err(),
        // Nobody could undo it but another admin, or the command line.
        Measure::Disable(target) if *target == caller.user => Conflict::OwnAccount.err(),
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
        let disable = Measure::Disable(user(2));
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
            let outcome = may_carry_out(&policy, &actor, known.as_ref(), &disable);
            assert_eq!(outcome.is_ok(), allowed, "{known:?}");
            assert!(allowed || matches!(outcome, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
        }
        assert!(may_carry_out(&policy, &Actor::CommandLine, None, &disable).is_ok());
    }

    #[test]
    fn nobody_disables_oneself() {
        let policy = ServerPolicy { admins: AdminNames::parse(["ada"]).unwrap(), ..ServerPolicy::default() };
        let (actor, ada) = (Actor::Admin(caller(1)), account(1, "ada"));
        let may = |measure| may_carry_out(&policy, &actor, Some(&ada), &measure);
        assert!(matches!(may(Measure::Disable(user(1))), Err(Error::Conflict(Conflict::OwnAccount))));
        assert!(may(Measure::Disable(user(2))).is_ok());
        assert!(may(Measure::EndSessions(user(1))).is_ok());
    }
}
