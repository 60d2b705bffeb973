//! What the bearer of a hospital card is asked for.

use super::name;
use crate::card::{LETTERS, Second};
use crate::screen::{Button, Entry, Screen};
use crate::session::{Act, Task};

pub(super) fn screen(screen: &mut Screen, second: Second, task: Option<Task>, trouble: Option<&str>) {
    screen.view = "prove";
    let (title, letters) = match second {
        Second::Phone => ("请输入登记手机号的后四位", ""),
        Second::Either => ("请输入身份证号或登记手机号的后四位", "X"),
        Second::IdNumber | Second::None => ("请输入身份证号的后四位", "X"),
    };
    screen.title = title.to_owned();
    screen.lead = "看报告、处方和费用明细前要确认是您本人。也可以直接出示身份证、手机就诊码或医保电子凭证".to_owned();
    screen.big = task.and_then(name);
    screen.entry = Some(Entry {
        length: LETTERS,
        letters,
        trouble: trouble.map(str::to_owned),
    });
    screen.buttons = vec![
        Button::new(Act::Back, "返回", false),
        Button::new(Act::Leave, "退出", false),
    ];
}
