// Emoji with their names, by group: what the picker offers and `:name` finds. The server takes every emoji; these are the
// common ones.

const GROUPS = {
  Smileys: '😀 grinning,😃 smiley,😄 smile,😁 grin,😆 laughing,😅 sweat_smile,🤣 rofl,😂 joy,🙂 slight_smile,🙃 upside_down,😉 wink,😊 blush,😇 innocent,🥰 hearts_face,😍 heart_eyes,🤩 star_struck,😘 kissing_heart,😋 yum,😛 tongue,😜 winking_tongue,🤪 zany,🤗 hugs,🤭 hand_over_mouth,🤫 shushing,🤔 thinking,🫡 salute,🤐 zipper,🤨 raised_eyebrow,😐 neutral,😑 expressionless,😏 smirk,😒 unamused,🙄 roll_eyes,😬 grimacing,😌 relieved,😔 pensive,😪 sleepy,😴 sleeping,😷 mask,🤒 thermometer,🤕 bandage,🤢 nauseated,🤮 vomiting,🤧 sneezing,🥵 hot,🥶 cold,🥴 woozy,😵 dizzy,🤯 exploding_head,🤠 cowboy,🥳 partying,😎 sunglasses,🤓 nerd,🧐 monocle,😕 confused,😟 worried,☹️ frowning,😮 open_mouth,😯 hushed,😲 astonished,😳 flushed,🥺 pleading,🥹 holding_tears,😨 fearful,😰 cold_sweat,😢 cry,😭 sob,😱 scream,😖 confounded,😞 disappointed,😓 sweat,😩 weary,😫 tired,🥱 yawning,😤 triumph,😡 rage,😠 angry,🤬 swearing,😈 smiling_imp,💀 skull,💩 poop,🤡 clown,👻 ghost,👽 alien,🤖 robot',
  Hands: '👍 thumbs_up,👎 thumbs_down,👌 ok_hand,🤌 pinched_fingers,✌️ victory,🤞 crossed_fingers,🤟 love_you,🤘 metal,🤙 call_me,👈 point_left,👉 point_right,👆 point_up,👇 point_down,☝️ index_up,✋ raised_hand,👋 wave,🖖 vulcan,👏 clap,🙌 raised_hands,🫶 heart_hands,👐 open_hands,🤝 handshake,🙏 pray,✍️ writing,💪 muscle,👀 eyes,🧠 brain,👶 baby,🧑 person,🙋 raising_hand,🤷 shrug,🤦 facepalm,🙇 bow,💃 dancer,🕺 man_dancing,🏃 running,👩‍💻 technologist,👨‍👩‍👧 family',
  Hearts: '❤️ heart,🧡 orange_heart,💛 yellow_heart,💚 green_heart,💙 blue_heart,💜 purple_heart,🖤 black_heart,🤍 white_heart,🤎 brown_heart,💔 broken_heart,💕 two_hearts,💖 sparkling_heart,💯 hundred,💢 anger,💥 boom,💫 dizzy_star,💦 splash,💤 zzz,✨ sparkles,⭐ star,🌟 glowing_star,🔥 fire,🎉 tada,🎊 confetti',
  Nature: '🐶 dog,🐱 cat,🐭 mouse,🐹 hamster,🐰 rabbit,🦊 fox,🐻 bear,🐼 panda,🐨 koala,🐯 tiger,🦁 lion,🐮 cow,🐷 pig,🐸 frog,🐵 monkey,🙈 see_no_evil,🙉 hear_no_evil,🙊 speak_no_evil,🐔 chicken,🐧 penguin,🐦 bird,🦆 duck,🦉 owl,🐺 wolf,🐴 horse,🦄 unicorn,🐝 bee,🐛 bug,🦋 butterfly,🐌 snail,🐢 turtle,🐍 snake,🐙 octopus,🦀 crab,🐟 fish,🐬 dolphin,🐳 whale,🌵 cactus,🎄 christmas_tree,🌲 evergreen,🌱 seedling,🍀 four_leaf_clover,🌹 rose,🌻 sunflower,🌸 cherry_blossom,🌍 earth,🌙 moon,☀️ sun,⛅ partly_sunny,☁️ cloud,🌧️ rain,⛈️ storm,❄️ snowflake,🌈 rainbow,🌊 ocean',
  Food: '🍏 green_apple,🍎 apple,🍐 pear,🍊 tangerine,🍋 lemon,🍌 banana,🍉 watermelon,🍇 grapes,🍓 strawberry,🍒 cherries,🍑 peach,🥭 mango,🍍 pineapple,🥥 coconut,🥑 avocado,🍅 tomato,🥕 carrot,🌽 corn,🥦 broccoli,🍞 bread,🥐 croissant,🧀 cheese,🥚 egg,🥓 bacon,🍔 burger,🍟 fries,🍕 pizza,🌭 hotdog,🌮 taco,🥗 salad,🍝 spaghetti,🍣 sushi,🍦 icecream,🍩 donut,🍪 cookie,🎂 cake,🍫 chocolate,🍿 popcorn,☕ coffee,🍵 tea,🍺 beer,🍻 beers,🥂 clinking_glasses,🍷 wine',
  Things: '⚽ soccer,🏀 basketball,🎾 tennis,🏆 trophy,🥇 gold_medal,🎮 game,🎲 dice,🎯 dart,🎸 guitar,🎵 music,🎨 art,🎬 clapper,🚗 car,🚲 bike,🚀 rocket,✈️ airplane,🚂 train,⛵ sailboat,🏠 house,🏖️ beach,⛰️ mountain,⛺ tent,⌚ watch,📱 phone,💻 laptop,🖥️ desktop,📷 camera,🔋 battery,💡 bulb,🔧 wrench,🔨 hammer,⚙️ gear,🔒 lock,🔑 key,📦 package,📌 pushpin,📎 paperclip,✏️ pencil,📝 memo,📅 calendar,📈 chart_up,📉 chart_down,📚 books,💰 moneybag,🎁 gift,🎈 balloon,🔔 bell,⏰ alarm_clock,⏳ hourglass,🚨 siren,🚧 construction,🗑️ wastebasket',
  Signs: '✅ check,☑️ ballot_check,✔️ tick,❌ cross,❓ question,❗ exclamation,⚠️ warning,⛔ no_entry,🚫 prohibited,➕ plus,➖ minus,➡️ arrow_right,⬅️ arrow_left,⬆️ arrow_up,⬇️ arrow_down,🔁 repeat,🔄 refresh,🆗 ok,🆕 new,🔴 red_circle,🟠 orange_circle,🟡 yellow_circle,🟢 green_circle,🔵 blue_circle,⚫ black_circle,⚪ white_circle,🏁 checkered_flag,🏳️‍🌈 rainbow_flag',
};

/** @type {{ group: string, emoji: { emoji: string, name: string }[] }[]} */
export const GROUPED = Object.entries(GROUPS).map(([group, line]) => ({
  group,
  emoji: line.split(',').map((pair) => ({ emoji: pair.slice(0, pair.indexOf(' ')), name: pair.slice(pair.indexOf(' ') + 1) })),
}));

export const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🎉'];

const ALL = GROUPED.flatMap(({ emoji }) => emoji);

/** The emoji whose names have this in them; those that begin with it come first. */
export function find(text, most = 60) {
  const wanted = text.toLowerCase();
  const rank = ({ name }) => (name.startsWith(wanted) ? 0 : name.includes(`_${wanted}`) ? 1 : 2);
  return ALL.filter(({ name }) => name.includes(wanted)).sort((a, b) => rank(a) - rank(b)).slice(0, most);
}

export const nameOfEmoji = (emoji) => ALL.find((one) => one.emoji === emoji)?.name.replaceAll('_', ' ') ?? '';
