//! Who may do what: permission = role × reach.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role of a member of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 医生.
    Doctor,
    /// 药师.
    Pharmacist,
    /// 管理员 of the hospital.
    Admin,
    /// 审计员: reads the audit chain, changes nothing.
    Auditor,
    /// 医务科: reviews medical records.
    MedicalAffairs,
    /// 护士: visits patients at home for the orders given to them.
    Nurse,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::Doctor,
        Self::Pharmacist,
        Self::Admin,
        Self::Auditor,
        Self::MedicalAffairs,
        Self::Nurse,
    ];

    /// Its word in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Pharmacist => "pharmacist",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Nurse => "nurse",
            Self::MedicalAffairs => "medical_affairs",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// How far this role may use a permission.
    pub const fn reach(self, permission: Permission) -> Reach {
        use Permission as P;
        match (self, permission) {
            (Self::Doctor, P::Treat | P::Prescribe)
            | (Self::Doctor | Self::Pharmacist, P::Sign)
            | (Self::Nurse, P::Nurse) => Reach::Own,
            (Self::Pharmacist, P::Review | P::Dispense)
            | (
                Self::Admin,
                P::Oversee
                | P::Settle
                | P::Configure
                | P::ManageStaff
                | P::SeeAppliances
                | P::SeeFootage
                | P::Dispense
                | P::Dispatch,
            )
            | (Self::Auditor, P::SeeAudit)
            | (Self::MedicalAffairs, P::ReviewRecords) => Reach::Hospital,
            _ => Reach::Nothing,
        }
    }
}

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// 接诊: see and conduct visits.
    Treat,
    /// 开方.
    Prescribe,
    /// Enrol and use a signature.
    Sign,
    /// 审方.
    Review,
    /// 病历审核.
    ReviewRecords,
    /// 发药, shipment.
    Dispense,
    /// See all visits, prescriptions and payments of the hospital.
    Oversee,
    /// Settle by hand what no machine could.
    Settle,
    /// Change the hospital's settings.
    Configure,
    /// Staff accounts.
    ManageStaff,
    /// The state of appliances.
    SeeAppliances,
    /// 视音频: see, verify and take out what nurses' recorders filmed in patients' homes, and where nurses went.
    SeeFootage,
    /// Read the audit chain.
    SeeAudit,
    /// 护理: carry out one's own orders of home visits.
    Nurse,
    /// 护理调度: make and assign orders of home visits, keep forms, answer alarms.
    Dispatch,
}

/// Whose things a permission covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// None.
    Nothing,
    /// Their own.
    Own,
    /// The whole hospital's.
    Hospital,
}

/// A permission as a type, for [`crate::Staff`].
pub trait Gate: Send + Sync + 'static {
    /// What is needed; `None` for any member of staff.
    const NEEDS: Option<Permission>;
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $needs:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl Gate for $name {
            const NEEDS: Option<Permission> = $needs;
        }
    )*};
}

gates! {
    /// Any member of staff.
    Anyone = None;
    /// Needs [`Permission::Treat`].
    Treats = Some(Permission::Treat);
    /// Needs [`Permission::Prescribe`].
    Prescribes = Some(Permission::Prescribe);
    /// Needs [`Permission::Sign`].
    Signs = Some(Permission::Sign);
    /// Needs [`Permission::Review`].
    Reviews = Some(Permission::Review);
    /// Needs [`Permission::ReviewRecords`].
    ReviewsRecords = Some(Permission::ReviewRecords);
    /// Needs [`Permission::Dispense`].
    Dispenses = Some(Permission::Dispense);
    /// Needs [`Permission::Oversee`].
    Oversees = Some(Permission::Oversee);
    /// Needs [`Permission::Settle`].
    Settles = Some(Permission::Settle);
    /// Needs [`Permission::Configure`].
    Configures = Some(Permission::Configure);
    /// Needs [`Permission::ManageStaff`].
    ManagesStaff = Some(Permission::ManageStaff);
    /// Needs [`Permission::SeeAppliances`].
    SeesAppliances = Some(Permission::SeeAppliances);
    /// Needs [`Permission::SeeFootage`].
    SeesFootage = Some(Permission::SeeFootage);
    /// Needs [`Permission::SeeAudit`].
    SeesAudit = Some(Permission::SeeAudit);
    /// Needs [`Permission::Nurse`].
    Nurses = Some(Permission::Nurse);
    /// Needs [`Permission::Dispatch`].
    Dispatches = Some(Permission::Dispatch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_both_prescribes_and_reviews_by_one_role_and_the_auditor_changes_nothing() {
        for role in Role::ALL {
            let both =
                role.reach(Permission::Prescribe) > Reach::Nothing && role.reach(Permission::Review) > Reach::Nothing;
            assert!(!both, "{role:?}");
        }
        for permission in [
            Permission::Treat,
            Permission::Prescribe,
            Permission::Sign,
            Permission::Review,
            Permission::ReviewRecords,
            Permission::Dispense,
            Permission::Settle,
            Permission::Configure,
            Permission::ManageStaff,
            Permission::SeeFootage,
            Permission::Nurse,
            Permission::Dispatch,
        ] {
            assert_eq!(Role::Auditor.reach(permission), Reach::Nothing);
        }
        assert_eq!(Role::Admin.reach(Permission::SeeAudit), Reach::Nothing);
        // Whoever treats does not review what was written about it by the same role.
        for role in Role::ALL {
            let both = role.reach(Permission::Treat) > Reach::Nothing
                && role.reach(Permission::ReviewRecords) > Reach::Nothing;
            assert!(!both, "{role:?}");
        }
    }
}
