//! Signing in. A try is taken durably before anything is looked at: killing the process gives no free guess.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use records::Timestamp;
use zeroize::Zeroizing;

use super::account::{ACTIVE, Who, check_certificate, present};
use super::{Manage, password, totp};
use crate::Refusal;
use crate::engine::{Engine, open_key};
use crate::state::Fingerprint;
use crate::vault::AttemptRow;
use crate::wrap::{self, Wrapping};

/// Wrong tries before the first pause.
const FREE: u32 = 5;
/// The first pause; each further wrong try doubles it.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Names with wrong tries that are remembered.
const NAMES: u32 = 10_000;
/// A first sign-in is finished by then.
const FIRST: Duration = Duration::from_secs(600);
/// First sign-ins under way.
const FIRSTS: usize = 64;
/// Wrong codes in a first sign-in.
const FIRST_TRIES: u8 = 5;

/// The owner's name under which an account's secret of one-time codes is wrapped.
pub(crate) fn totp_owner(account: &str) -> String {
    format!("account {account} totp")
}

/// What a right password leads to.
pub(crate) enum Step {
    /// All is right.
    In(Who),
    /// One-time codes are to be enrolled first.
    First(First),
}

/// A first sign-in under way.
pub(crate) struct First {
    pub(crate) who: Who,
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) change_password: bool,
}

/// First sign-ins under way, by token.
#[derive(Default)]
pub(crate) struct Firsts(Mutex<HashMap<String, (Instant, u8, First)>>);

impl Firsts {
    pub(crate) fn begin(&self, first: First) -> Result<String, Refusal> {
        let token = hex::encode(wrap::random::<32>()?);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (since, _, of)| since.elapsed() < FIRST && of.who.id != first.who.id);
        if open.len() >= FIRSTS {
            return Err(Refusal::no("too_many_tries", "登录请求过多，请稍后再试。"));
        }
        open.insert(token.clone(), (Instant::now(), 0, first));
        Ok(token)
    }

    /// Takes it out to be finished; [`Self::again`] puts it back after a wrong code.
    fn take(&self, token: &str) -> Result<(Instant, u8, First), Refusal> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.remove(token).filter(|(since, _, _)| since.elapsed() < FIRST);
        found.ok_or_else(|| Refusal::no("first_sign_in", "首次登录已超时，请重新输入密码。"))
    }

    fn again(&self, token: &str, (since, wrong, first): (Instant, u8, First)) {
        if wrong + 1 < FIRST_TRIES {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(token.to_owned(), (since, wrong + 1, first));
        }
    }
}

impl Engine {
    /// Judges a name, a password and a code.
    pub(crate) fn sign_in(&self, name: &str, given: &str, code: &str) -> Result<Step, Refusal> {
        let name = name.trim().to_lowercase();
        // Asked for before the password is looked at: a chip that is away says nothing about it.
        let kek = self.kek()?;
        self.take_attempt(&name)?;
        let now = self.clock.now();
        let found = self.vault.read(|unit| unit.account_named(&name))?;
        let kept = found.as_ref().map(|row| (row.salt.as_slice(), row.password.as_slice()));
        let right = password::is(kept, given)?;
        let row = match found.filter(|row| right && row.state == ACTIVE) {
            Some(row) => row,
            None => return Err(self.refuse_sign_in(&name, now)?),
        };
        let Some(wrapped) = &row.totp else {
            self.forgive(&name)?;
            return Ok(Step::First(First {
                who: Who::of(&row)?,
                secret: totp::secret()?,
                change_password: row.change_password,
            }));
        };
        let secret = open_key(&kek, wrapped, &totp_owner(&row.id), "one-time codes")?;
        let accepted = match totp::accept(&secret, code, now, row.totp_last) {
            Some(step) => self.vault.write(|unit| unit.take_step(&row.id, step))?,
            None => false,
        };
        if !accepted {
            return Err(self.refuse_sign_in(&name, now)?);
        }
        self.forgive(&name)?;
        let who = Who::of(&row)?;
        self.vault
            .write(|unit| unit.log(now, "session.opened", &who.name, "password and code"))?;
        Ok(Step::In(who))
    }

    /// Judges a certificate whose key the connection's other end has.
    pub(crate) fn sign_in_by_certificate(&self, fingerprint: &Fingerprint) -> Result<Who, Refusal> {
        let now = self.clock.now();
        let unknown = || Refusal::no("certificate_not_registered", "该证书没有登记到任何启用的账户。");
        self.vault.write(|unit| {
            let all = unit.account_certificates()?;
            let found = all
                .into_iter()
                .find(|row| row.fingerprint == fingerprint)
                .ok_or_else(unknown)?;
            let row = present(unit, &found.account)?;
            if row.state != ACTIVE {
                return Err(unknown());
            }
            check_certificate(unit, &gm::Certificate::parse(&found.certificate)?, now)?;
            let who = Who::of(&row)?;
            let detail = format!("certificate {}", hex::encode(fingerprint));
            unit.log(now, "session.opened", &who.name, &detail)?;
            Ok(who)
        })
    }

    fn refuse_sign_in(&self, name: &str, now: Timestamp) -> Result<Refusal, Refusal> {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
        self.vault.write(|unit| unit.log(now, "session.refused", &shown, ""))?;
        Ok(Refusal::no("sign_in_wrong", "用户名、密码或动态口令不正确。"))
    }

    /// Takes a try for a name, or says how long it pauses.
    pub(crate) fn take_attempt(&self, name: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        let key = gm::key::sha256(name.as_bytes());
        self.vault.write(|unit| {
            let before = unit.attempts(&key)?;
            // A clock that was set back does not lock for longer than the longest pause.
            if before.locked_until > now {
                let left = before.locked_until.since(now).min(LONGEST_PAUSE).as_secs() + 1;
                return Err(Refusal::no(
                    "too_many_tries",
                    format!("错误次数过多，请 {left} 秒后再试。"),
                ));
            }
            let wrong = before.wrong.saturating_add(1);
            let attempts = AttemptRow {
                wrong,
                locked_until: now.plus(pause(wrong)),
            };
            unit.put_attempts(&key, attempts, now)?;
            unit.bound_attempts(NAMES)
        })
    }

    /// Forgets the wrong tries of a name.
    pub(crate) fn forgive(&self, name: &str) -> Result<(), Refusal> {
        self.vault
            .write(|unit| unit.forget_attempts(&gm::key::sha256(name.as_bytes())))
    }
}

/// How long a name pauses after so many wrong tries.
fn pause(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(further) => PAUSE.saturating_mul(1 << further.min(16)).min(LONGEST_PAUSE),
    }
}

impl Manage {
    /// Finishes a first sign-in: the code proves that the app has the secret, the new password takes the place of the one
    /// that was handed over.
    pub(crate) fn finish_first(&self, token: &str, code: &str, new_password: Option<&str>) -> Result<Who, Refusal> {
        let engine = self.engine();
        let (since, wrong, first) = self.setup.firsts.take(token)?;
        let now = engine.clock.now();
        let Some(step) = totp::accept(&first.secret, code, now, 0) else {
            self.setup.firsts.again(token, (since, wrong, first));
            return Err(Refusal::no("code_wrong", "动态口令不正确，请核对手机时间后重试。"));
        };
        let kept = match (first.change_password, new_password) {
            (true, None) => Err(Refusal::no("password_weak", "请设置新密码。")),
            (true, Some(chosen)) => password::keep(chosen, &first.who.name).map(Some),
            (false, _) => Ok(None),
        };
        let kept = match kept {
            Ok(kept) => kept,
            Err(refusal) => {
                self.setup.firsts.again(token, (since, wrong, first));
                return Err(refusal);
            }
        };
        let owner = totp_owner(&first.who.id);
        let wrapped = Wrapping::derive(&engine.kek()?, None, &owner)?.wrap(&first.secret, &owner)?;
        engine.vault.write(|unit| {
            let mut row = present(unit, &first.who.id)?;
            if row.state != ACTIVE || row.totp.is_some() {
                return Err(Refusal::no("first_sign_in", "账户状态已改变，请重新登录。"));
            }
            row.totp = Some(wrapped.clone());
            row.totp_last = step;
            if let Some(kept) = &kept {
                (row.salt, row.password) = (kept.salt.clone(), kept.stretched.clone());
                row.change_password = false;
            }
            unit.put_account(&row, now)?;
            unit.log(now, "account.enrolled", &first.who.name, "one-time codes")?;
            unit.log(now, "session.opened", &first.who.name, "first")
        })?;
        Ok(first.who)
    }
}

/// The code that makes the first administrator: in a file that only the machine's administrator reads, until it is used.
pub(crate) struct Setup {
    file: PathBuf,
    code: Mutex<Option<Zeroizing<String>>>,
    pub(crate) firsts: Firsts,
}

impl Setup {
    /// While there is no account, the code lies in `setup-code`.
    pub(crate) fn start(engine: &Engine, state_dir: &Path) -> Result<Self, Refusal> {
        let file = state_dir.join("setup-code");
        let needed = engine.vault.read(|unit| Ok(unit.accounts()?.is_empty()))?;
        let code = if needed {
            let code = totp::base32(&wrap::random::<20>()?);
            write(&file, &code).map_err(|_| Refusal::Damaged("setup-code"))?;
            Some(Zeroizing::new(code))
        } else {
            let _ = std::fs::remove_file(&file);
            None
        };
        Ok(Self {
            file,
            code: Mutex::new(code),
            firsts: Firsts::default(),
        })
    }

    /// Whether the first administrator is still to be made.
    pub(crate) fn needed(&self) -> bool {
        self.code.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Makes the first administrator, once, for who has the code.
    pub(crate) fn finish(&self, code: &str, make: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let given: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        let right = kept
            .as_ref()
            .is_some_and(|kept| password::equal(kept.as_bytes(), given.to_uppercase().as_bytes()));
        if !right {
            return Err(Refusal::no("setup_code", "初始化码不正确，或初始化已完成。"));
        }
        make()?;
        *kept = None;
        if let Err(error) = std::fs::remove_file(&self.file) {
            tracing::warn!(%error, "the used set-up code could not be removed");
        }
        Ok(())
    }
}

fn write(file: &Path, code: &str) -> std::io::Result<()> {
    let _ = std::fs::remove_file(file);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{code}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds: Vec<u64> = [0, 4, 5, 6, 7, 11, 12, 13, 100, u32::MAX]
            .map(|wrong| pause(wrong).as_secs())
            .into();
        assert_eq!(seconds, [0, 0, 30, 60, 120, 1920, 3600, 3600, 3600, 3600]);
    }
}
