//! Changing and deleting one's own account.

use super::model::{Change, DisplayName, Email, OwnView, ProfileChange};
use super::password::{Password, PasswordHash, TypedPassword, Verdict};
use super::service::UserService;
use crate::access::Need;
use crate::context::Caller;
use crate::endings::Ended;
use crate::error::{Error, Forbidden, Invalid, NotFound, Result, Unauthenticated};

/// What a client gives as its current password.
#[derive(Clone)]
pub struct CurrentPassword(pub Option<String>);

/// A wish to change one's own account; what is absent stays as it is.
#[derive(Clone, Default)]
pub struct ProfileEdit {
    /// New address.
    pub email: Change<Email>,
    /// New name to be called.
    pub display_name: Change<DisplayName>,
    /// New password, with the one it replaces.
    pub password: Option<Password>,
    /// Needed with a new password; must be right wherever it is given.
    pub current_password: Option<String>,
}

impl UserService {
    /// Changes the caller's account.
    ///
    /// # Errors
    /// [`Forbidden::NeedsLogin`] where a token of a program would change more than the display name;
    /// [`Forbidden::WrongCurrentPassword`], [`Invalid`] where it is missing, [`Conflict::EmailTaken`](crate::Conflict).
    pub async fn change_profile(&self, caller: &Caller, edit: ProfileEdit) -> Result<OwnView> {
        if edit.email.is_change() || edit.password.is_some() || edit.current_password.is_some() {
            caller.access.require(Need::Login)?;
        }
        // Who gives it without need wants it looked at, too.
        let proven = if edit.password.is_some() || edit.current_password.is_some() {
            self.prove(caller, CurrentPassword(edit.current_password)).await?
        } else {
            None
        };
        let password = match edit.password {
            Some(new) => Some(self.hasher.hash(new).await?),
            None => None,
        };
        let change = ProfileChange { email: edit.email, display_name: edit.display_name, password, proven };
        let user = self.users.change(caller.user, change, caller.session, self.clock.now()).await;
        let user = user.map_err(ended_meanwhile)?;
        Ok(self.policy.own_view(&user))
    }

    /// Deletes the caller's account.
    ///
    /// # Errors
    /// [`Forbidden::NeedsLogin`], [`Forbidden::WrongCurrentPassword`], [`Invalid`] where it is missing and one is set.
    pub async fn delete_account(&self, caller: &Caller, current: CurrentPassword) -> Result<()> {
        caller.access.require(Need::Login)?;
        let proven = self.prove(caller, current).await?;
        self.users.delete(caller.user, proven, self.clock.now()).await.map_err(ended_meanwhile)?;
        // The account has ended whatever becomes of this.
        self.endings.begin(Ended::Account(caller.user)).await;
        Ok(())
    }

    /// Checks the current password of a caller who has one, before the account changes hands or ends. Returns the hash
    /// that proved it.
    async fn prove(&self, caller: &Caller, current: CurrentPassword) -> Result<Option<PasswordHash>> {
        let credentials = self.users.credentials(caller.user).await?.ok_or(Unauthenticated::InvalidToken)?;
        let Some(hash) = credentials.password else { return Ok(None) };
        let given = current.0.ok_or_else(|| Invalid::missing("current_password"))?;
        match self.hasher.verify(TypedPassword::of(&given), Some(hash.clone())).await? {
            Verdict::Right | Verdict::RightAsTyped => Ok(Some(hash)),
            Verdict::Wrong => Forbidden::WrongCurrentPassword.err(),
        }
    }
}

/// Whose account ended while the request was under way is nobody, and not somebody who cannot be found.
fn ended_meanwhile(error: Error) -> Error {
    match error {
        Error::NotFound(NotFound::User) => Unauthenticated::InvalidToken.into(),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Scopes};
    use crate::endings::{EndingService, MockEndingRepository};
    use crate::testing::{StoppedClock, account, at, caller, outcome, user, user_service};
    use crate::users::{Credentials, MockPasswordHasher, MockUserRepository};
    use std::sync::Arc;

    const RIGHT: &str = "the old password";

    /// User 1, with the password [`RIGHT`] or none.
    fn users(has_password: bool) -> MockUserRepository {
        let mut users = MockUserRepository::new();
        users.expect_credentials().returning(move |_| {
            let password = has_password.then(|| PasswordHash("old".to_owned()));
            Ok(Some(Credentials { user: account(1, "ada"), password }))
        });
        users
    }

    /// Knows [`RIGHT`] for the stored hash.
    fn hasher() -> MockPasswordHasher {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|typed, hash| {
            assert_eq!(hash, Some(PasswordHash("old".to_owned())));
            Ok(if typed == TypedPassword::of(RIGHT) { Verdict::Right } else { Verdict::Wrong })
        });
        hasher.expect_hash().returning(|_| Ok(PasswordHash("new".to_owned())));
        hasher
    }

    fn over(users: MockUserRepository, hasher: MockPasswordHasher) -> UserService {
        UserService { users: Arc::new(users), hasher: Arc::new(hasher), ..user_service() }
    }

    fn new_password(current: Option<&str>) -> ProfileEdit {
        ProfileEdit {
            password: Some(Password::parse("password", "the new password").unwrap()),
            current_password: current.map(str::to_owned),
            ..ProfileEdit::default()
        }
    }

    /// Current passwords that are missing, wrong, or could never have been one.
    const UNPROVEN: [Option<&str>; 4] = [None, Some("a wrong password"), Some("short"), Some("with a NUL\0")];

    /// A missing one is a fault of the form; all others are told alike.
    fn is_refusal(error: &Error, current: Option<&str>) -> bool {
        match error {
            Error::Invalid(invalid) => current.is_none() && invalid.field == "current_password",
            Error::Forbidden(Forbidden::WrongCurrentPassword) => current.is_some(),
            _ => false,
        }
    }

    #[test]
    fn a_new_password_is_stored_for_who_knows_the_old_one_and_keeps_this_session() {
        let mut users = users(true);
        users
            .expect_change()
            .once()
            .withf(|id, change, keep, when| {
                let stored = ProfileChange {
                    password: Some(PasswordHash("new".to_owned())),
                    proven: Some(PasswordHash("old".to_owned())),
                    ..Default::default()
                };
                (*id, change, *keep, *when) == (user(1), &stored, caller(1).session, at(7))
            })
            .returning(|_, _, _, _| Ok(account(1, "ada")));
        let view = outcome(over(users, hasher()).change_profile(&caller(1), new_password(Some(RIGHT)))).unwrap();
        assert!(view.user.email.is_some());
    }

    #[test]
    fn without_the_old_password_nothing_is_changed() {
        for current in UNPROVEN {
            let mut users = users(true);
            users.expect_change().never();
            let refused = outcome(over(users, hasher()).change_profile(&caller(1), new_password(current))).unwrap_err();
            assert!(is_refusal(&refused, current), "{current:?}: {refused}");
        }
    }

    #[test]
    fn what_is_no_password_needs_no_proof() {
        let mut users = MockUserRepository::new();
        users
            .expect_change()
            .once()
            .withf(|_, change, _, _| change.password.is_none() && change.email.is_change())
            .returning(|_, _, _, _| Ok(account(1, "ada")));
        let edit =
            ProfileEdit { email: Change::Set(Email::parse("new@example.org").unwrap()), ..ProfileEdit::default() };
        outcome(over(users, MockPasswordHasher::new()).change_profile(&caller(1), edit)).unwrap();
    }

    #[test]
    fn a_token_of_a_program_changes_the_display_name_alone() {
        let program = Caller { access: Access::Token(Scopes::ALL), ..caller(1) };
        let email = ProfileEdit { email: Change::Clear, ..ProfileEdit::default() };
        let proof = ProfileEdit { current_password: Some(RIGHT.to_owned()), ..ProfileEdit::default() };
        for edit in [email, proof, new_password(Some(RIGHT))] {
            let service = over(MockUserRepository::new(), MockPasswordHasher::new());
            let refused = outcome(service.change_profile(&program, edit)).unwrap_err();
            assert!(matches!(refused, Error::Forbidden(Forbidden::NeedsLogin)));
        }
        let service = over(MockUserRepository::new(), MockPasswordHasher::new());
        let refused = outcome(service.delete_account(&program, CurrentPassword(None))).unwrap_err();
        assert!(matches!(refused, Error::Forbidden(Forbidden::NeedsLogin)));
        let mut users = MockUserRepository::new();
        users.expect_change().once().returning(|_, _, _, _| Ok(account(1, "ada")));
        let name = ProfileEdit { display_name: Change::Clear, ..ProfileEdit::default() };
        outcome(over(users, MockPasswordHasher::new()).change_profile(&program, name)).unwrap();
    }

    #[test]
    fn an_account_ends_with_its_password_or_without_where_there_is_none() {
        for (has_password, current) in [(true, Some(RIGHT)), (false, None), (false, Some("whatever"))] {
            let mut users = users(has_password);
            let proven = has_password.then(|| PasswordHash("old".to_owned()));
            let ends = move |id: &crate::UserId, hash: &Option<PasswordHash>, when: &crate::Timestamp| {
                (*id, *when) == (user(1), at(7)) && *hash == proven
            };
            users.expect_delete().once().withf(ends).returning(|_, _, _| Ok(()));
            delete(users, current).unwrap();
        }
        for current in UNPROVEN {
            let mut users = users(true);
            users.expect_delete().never();
            assert!(is_refusal(&delete(users, current).unwrap_err(), current));
        }
    }

    fn delete(users: MockUserRepository, current: Option<&str>) -> Result<()> {
        let mut endings = MockEndingRepository::new();
        endings.expect_tidy().withf(|ended, _| *ended == Ended::Account(user(1))).returning(|_, _| Ok(false));
        let endings = EndingService { endings: Arc::new(endings), clock: Arc::new(StoppedClock(7)) };
        let users = UserService { endings, ..over(users, hasher()) };
        outcome(users.delete_account(&caller(1), CurrentPassword(current.map(str::to_owned))))
    }
}
