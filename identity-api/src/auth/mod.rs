//! Registration, login, tokens, sessions, second factors, the own profile.

mod account;
mod client;
mod codes;
mod compatible;
mod health;
mod login;
mod me;
mod owner;
mod password;
mod profile;
pub(crate) mod proof;
mod refresh;
mod register;
mod reset;
mod roles;
mod session;
mod sessions;
mod throttle;
mod totp;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

#[expect(unused_imports, reason = "what the other modules of this crate may use of sessions")]
pub(crate) use self::{
    account::{Account, Claimant},
    client::Client,
    login::{complete, go_on},
    proof::Proof,
    register::{new_user_id, reserve, take_over},
    session::{Seen, TokenAnswer, authentication, begin, end, end_all, exposed},
    sessions::{SessionList, SessionView},
    throttle::{Attempt, count_beginning},
    totp::{ProofBody, all_exposed},
};

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        register::register,
        login::login,
        login::second_factor,
        refresh::refresh,
        refresh::logout,
        me::me,
        profile::get,
        profile::put,
        profile::confirm_email,
        password::change,
        reset::request,
        reset::confirm,
        sessions::list,
        sessions::revoke,
        sessions::revoke_others,
        totp::enrol,
        totp::confirm,
        totp::remove,
        totp::recovery_codes,
        roles::list,
        roles::own,
        health::health,
        compatible::register,
        compatible::login,
        compatible::refresh,
        compatible::logout,
        compatible::get_me,
        compatible::get_profile,
        compatible::put_profile,
        compatible::reset_password,
        compatible::confirm_reset,
        compatible::get_health,
    ),
    tags((name = "auth", description = "Coming in, going on, leaving; who one is and how one shows it."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/auth/register", web::post().to(register::register))
        .route("/auth/login", web::post().to(login::login))
        .route("/auth/login/second-factor", web::post().to(login::second_factor))
        .route("/auth/refresh", web::post().to(refresh::refresh))
        .route("/auth/logout", web::post().to(refresh::logout))
        .route("/auth/me", web::get().to(me::me))
        .route("/auth/me/permissions", web::get().to(roles::own))
        .route("/auth/profile", web::get().to(profile::get))
        .route("/auth/profile", web::put().to(profile::put))
        .route("/auth/email/confirm", web::post().to(profile::confirm_email))
        .route("/auth/password", web::post().to(password::change))
        .route("/auth/reset-password", web::post().to(reset::request))
        .route("/auth/reset-password/confirm", web::post().to(reset::confirm))
        .route("/auth/sessions", web::get().to(sessions::list))
        .route("/auth/sessions/revoke-others", web::post().to(sessions::revoke_others))
        .route("/auth/sessions/{id}", web::delete().to(sessions::revoke))
        .route("/auth/totp/enrol", web::post().to(totp::enrol))
        .route("/auth/totp/confirm", web::post().to(totp::confirm))
        .route("/auth/totp/remove", web::post().to(totp::remove))
        .route("/auth/recovery-codes", web::post().to(totp::recovery_codes))
        .route("/auth/roles", web::get().to(roles::list))
        .route("/auth/health", web::get().to(health::health))
        .configure(compatible::configure);
}
