use std::fmt::Write as _;

use super::{Command, Side, State, may_sit, next};

#[test]
fn every_state_command_and_side_leads_where_the_table_says() {
    let mut table = String::new();
    for state in State::ALL {
        for command in Command::ALL {
            for (who, side) in [
                ("医生", Some(Side::Doctor)),
                ("患者", Some(Side::Patient)),
                ("定时器", None),
            ] {
                if let Ok(to) = next(state, command, side) {
                    writeln!(table, "{} {who}{} {}", state.text(), command.text(), to.text()).unwrap();
                }
            }
        }
    }
    assert_eq!(
        table,
        "未呼叫 医生发起视频 呼叫中\n\
         呼叫中 患者接听 通话中\n\
         呼叫中 患者拒绝 已结束\n\
         呼叫中 医生挂断 已结束\n\
         呼叫中 患者挂断 已结束\n\
         呼叫中 定时器挂断 已结束\n\
         呼叫中 定时器无人接听 已结束\n\
         通话中 医生挂断 已结束\n\
         通话中 患者挂断 已结束\n\
         通话中 定时器挂断 已结束\n\
         已结束 医生发起视频 呼叫中\n"
    );
}

#[test]
fn the_patient_sits_down_only_after_accepting() {
    assert!(may_sit(State::Ringing, Side::Doctor));
    assert!(!may_sit(State::Ringing, Side::Patient));
    assert!(may_sit(State::Connected, Side::Patient));
    assert!(!may_sit(State::Ended, Side::Doctor));
}
