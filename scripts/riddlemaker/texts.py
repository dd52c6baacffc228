"""The text riddles, in the order of their ids: append, never insert. tests/tasks re-derives what can be computed."""

from __future__ import annotations

from riddlemaker.riddle import Riddle

TEXTS: tuple[Riddle, ...] = (
    Riddle(
        "arithmetic",
        20,
        "A baker sells rolls in bags of 6 and in bags of 10. A customer leaves with exactly 76 rolls "
        "in 10 bags. How many of these bags were bags of 6?",
        "6 bags",
        "Ten bags of 10 would hold 100 rolls, 24 more than were sold. Each bag of 6 saves 4 rolls, so"
        " there were 24 / 4 = 6 of them.",
        (
            "Imagine first that all ten bags were large.",
            "How many rolls too many would that be?",
        ),
        "6 bags of 6 make 36 rolls, 4 bags of 10 make 40 rolls; together 76 rolls in 10 bags.",
    ),
    Riddle(
        "logic",
        40,
        "Of 27 coins that look alike, one is false and a little lighter than the rest. You have a "
        "balance with two pans and no weights. In how few weighings can you be certain to find the "
        "false coin?",
        "3 weighings",
        "Each weighing has three results (left lighter, right lighter, level), so it can cut the "
        "suspects to a third: 27, 9, 3, 1. Two weighings tell apart 9 cases only, so 3 is the least.",
        (
            "The balance can also stay level.",
            "Make three heaps, not two.",
            "27 = 3 × 3 × 3",
        ),
        "Weigh 9 against 9, then 3 against 3 of the suspect nine, then 1 against 1 of the suspect three.",
    ),
    Riddle(
        "geometry",
        40,
        "A wooden cube is painted red all over and then sawn into 4 × 4 × 4 small cubes of equal "
        "size. How many of the small cubes have exactly one red face?",
        "24 cubes",
        "A small cube has exactly one red face when it lies inside a face, away from its edges: 2 × 2"
        " = 4 on each of the 6 faces, which makes 24.",
        (
            "Where in a face must such a small cube lie?",
            "Count on one face and multiply.",
        ),
    ),
    Riddle(
        "wordplay",
        30,
        "I lie beside the path and never complain. Without my first letter I am what a musician "
        "listens for. Without my first two letters I am the smallest counting number. Which English "
        "word am I?",
        "Stone",
        "A stone lies beside the path; without s it is a tone, without st it is one.",
        ("Work backwards from the number.",),
    ),
    Riddle(
        "lateral",
        10,
        "I grow when the sun sinks, I shrink when it climbs, and I am gone when it is gone. I have "
        "the shape of your hat but never its colour. What am I?",
        "Your shadow",
        "A shadow is long when the sun is low, short when it is high, and dark whatever the colour of the thing.",
        ("I am attached to your feet.",),
    ),
    Riddle(
        "arithmetic",
        20,
        "The first ferry of the day leaves at 06:10, and after that one leaves every 25 minutes. You "
        "reach the pier at 09:08. How many minutes do you have to wait for the next ferry?",
        "22 minutes",
        "From 06:10 to 09:08 are 178 minutes. 7 × 25 = 175, so a ferry left at 09:05, and the next "
        "leaves at 09:30, 22 minutes after 09:08.",
        (
            "Count the minutes since the first ferry.",
            "You have just missed one.",
        ),
    ),
    Riddle(
        "logic",
        30,
        'On an island each inhabitant either always tells the truth or always lies. Arno says: "Bela '
        'lies." Bela says: "Arno and I are of the same kind." Who tells the truth?',
        "Only Arno",
        "Bela's sentence cannot be true: it would make Arno truthful as well, and then Arno's claim "
        "that Bela lies would be false. So Bela lies, and Arno, who says just that, tells the truth.",
        ("Suppose that Bela tells the truth and see what follows.",),
        "Arno tells the truth, Bela lies.",
    ),
    Riddle(
        "geometry",
        40,
        "What is the smaller angle between the hour hand and the minute hand of a clock at twenty minutes to four?",
        "130 degrees",
        "At 3:40 the minute hand stands at 240 degrees. The hour hand has gone 3 2/3 hours at 30 "
        "degrees each: 110 degrees. The difference is 130 degrees.",
        (
            "The hour hand moves too.",
            "It moves half a degree each minute.",
        ),
    ),
    Riddle(
        "wordplay",
        20,
        "I run through the meadow without legs. Take away my first letter, and I stand in the corner "
        "of a chessboard. Which English word am I?",
        "Brook",
        "A brook runs through the meadow, and a rook starts the game in the corner of the board.",
        ("Which piece stands in the corner?",),
    ),
    Riddle(
        "cipher",
        20,
        "On a note stands SJEEMF. Every letter has been replaced by the one that follows it in the "
        "alphabet. Which word was it?",
        "RIDDLE",
        "Going one letter back: S-R, J-I, E-D, E-D, M-L, F-E.",
        ("Go one step back for each letter.",),
    ),
    Riddle(
        "lateral",
        10,
        "I answer in every language and have learnt none. I never speak first, and I only ever repeat"
        " the end. What am I?",
        "An echo",
        "An echo gives back the last sounds of any call, in whatever language it was made.",
        ("You may meet me in the mountains.",),
    ),
    Riddle(
        "arithmetic",
        30,
        "Four printing presses print four posters in four minutes. How many such presses are needed "
        "to print 60 posters in 60 minutes?",
        "4 presses",
        "One press needs 4 minutes for one poster, so in 60 minutes it prints 15. For 60 posters, 60 "
        "/ 15 = 4 presses are enough.",
        (
            "Do not stretch all three numbers at once.",
            "How many posters does a single press print in four minutes?",
        ),
        "One press prints one poster in 4 minutes, so 15 in an hour; 4 presses print 60.",
    ),
    Riddle(
        "logic",
        40,
        'Three boxes carry the labels "apples", "nuts" and "apples and nuts". One holds only apples, '
        'one only nuts, one a mixture, but every single label is wrong. From the box labelled "apples'
        ' and nuts" somebody takes a nut. What is in the box labelled "apples"?',
        "Apples and nuts (the mixture)",
        "The box labelled as the mixture is not the mixture, and it gave a nut, so it holds only "
        'nuts. The box labelled "apples" does not hold only apples, and nuts are taken: it holds the '
        "mixture.",
        (
            "Begin with the box that was opened.",
            "Every label lies: use that twice.",
        ),
    ),
    Riddle(
        "arithmetic",
        20,
        "A lantern and a candle cost 23 crowns together. The lantern costs 20 crowns more than the "
        "candle. How much does the candle cost?",
        "1.5 crowns",
        "Without the difference of 20 crowns, 3 crowns are left for two equal prices, so the candle "
        "costs 1.5 crowns; the lantern costs 21.5 crowns, which is 20 more.",
        (
            "3 crowns is not the answer: check the difference.",
            "Take the 20 crowns away first, then share.",
        ),
        "Candle 1.5, lantern 21.5: the sum is 23 and the difference 20.",
    ),
    Riddle(
        "geometry",
        20,
        "A triangular meadow is fenced so that 8 posts stand along each side, with one post in each "
        "corner. How many posts are there in all?",
        "21 posts",
        "3 × 8 = 24 counts each of the 3 corner posts twice, so there are 21.",
        ("Corner posts serve two sides.",),
    ),
    Riddle(
        "wordplay",
        40,
        "Write the whole numbers from zero to one hundred as English words. In only one of them do "
        "the letters stand in alphabetical order. Which number is it?",
        "40 (forty)",
        "F, o, r, t, y follow each other in the alphabet. No other number's name up to a hundred has this property.",
        ("It is a multiple of ten.",),
    ),
    Riddle(
        "lateral",
        10,
        "A gardener adds nothing and only ever takes away, and what she makes becomes bigger and "
        "bigger. What is she making?",
        "A hole",
        "A hole grows by what is taken out of it.",
        ("She uses a spade.",),
    ),
    Riddle(
        "logic",
        10,
        "In the last lap Mira overtakes the runner who is in fourth place. Shortly before the finish "
        "she is overtaken by one runner herself. In which place does she finish?",
        "Fifth place",
        "Whoever overtakes the fourth is fourth. One runner then passes her, which makes her fifth.",
        ("She takes the place of the one she overtakes.",),
    ),
    Riddle(
        "arithmetic",
        30,
        "A beetle climbs a staircase of 17 steps, starting from the floor. Every day it climbs 5 "
        "steps, every night it slides back 3. On which day does it reach the top step?",
        "Day 7",
        "It gains 2 steps for each full day and night, so after 6 nights it is on step 12. On day 7 "
        "it climbs 5 steps and stands on step 17, and there is no night any more that could pull it "
        "back first.",
        (
            "Once it is at the top, nothing slides.",
            "Where does it wake up on each morning?",
            None,
            "It wakes up on step 12 on the decisive morning.",
        ),
        "Mornings: 0, 2, 4, 6, 8, 10, 12. From 12 it gets to 17 on the seventh day.",
    ),
    Riddle(
        "geometry",
        40,
        "Into how many pieces at most can a flat round cake be cut with 5 straight cuts, if the "
        "pieces are not moved between the cuts?",
        "16 pieces",
        "A new cut adds most pieces when it crosses all earlier cuts at different points: the first "
        "adds 1, then 2, 3, 4, 5. Together 1 + 1 + 2 + 3 + 4 + 5 = 16.",
        (
            "The pieces need not be of equal size.",
            "Let each cut cross all the others.",
            "The second cut adds 2 pieces, the third 3.",
        ),
    ),
    Riddle(
        "wordplay",
        20,
        "Which whole number has an English name with exactly as many letters as its value?",
        "4 (four)",
        "F-o-u-r has four letters. No other number in English counts its own letters.",
        (
            "It is below ten.",
            "Count the letters of each name.",
        ),
    ),
    Riddle(
        "lateral",
        10,
        "I am tall when I am young and short when I am old, and I only lose weight while I shine. What am I?",
        "A candle",
        "A candle is used up while it burns, so it becomes shorter with age.",
        ("A breath of air ends my work.",),
    ),
    Riddle(
        "arithmetic",
        30,
        "A painter puts the numbers 1 to 130 on the doors of a hotel, one number on each door. How "
        "many times does he paint the digit 7?",
        "23 times",
        "As the last digit, 7 appears in 7, 17, ..., 127: 13 times. As the tens digit it appears in "
        "70 to 79: 10 times. Together 23 times; door 77 rightly counts twice.",
        (
            "Treat the last digit and the tens digit apart.",
            "Door 77 needs two of them.",
        ),
    ),
    Riddle(
        "logic",
        40,
        "Five flags hang in a row: blue, green, red, white and yellow. The green one hangs in the "
        "middle. White and yellow hang side by side. Red hangs somewhere to the left of green. Blue "
        "does not hang beside green. Yellow does not hang at an end. Which flag hangs at the far "
        "right?",
        "The white flag",
        "Green is third and red is first or second, so the pair white and yellow needs places 4 and "
        "5. Yellow is not at the end, so yellow is fourth and white fifth. (Blue is first and red "
        "second.)",
        (
            "Where is there room for two neighbours?",
            "Draw five places and put green in the third.",
        ),
        "From left to right: blue, red, green, yellow, white.",
    ),
    Riddle(
        "probability",
        40,
        "A bag holds 3 red and 2 blue marbles. You draw two marbles, one after the other, without "
        "putting the first back. What is the probability that both are red?",
        "3/10",
        "The first is red with probability 3/5, the second then with 2/4: together 6/20 = 3/10.",
        ("After a red one, how many of the rest are red?",),
    ),
    Riddle(
        "arithmetic",
        20,
        "A single sheet has fallen out of a book whose page 1 is a right-hand page. The two page "
        "numbers on the sheet add up to 127. Which numbers are they?",
        "63 and 64",
        "The two sides of a sheet carry consecutive numbers, the odd one first. Two consecutive "
        "numbers with the sum 127 are 63 and 64, and 63 is odd as it has to be.",
        (
            "A sheet has a front and a back.",
            "The numbers follow each other.",
        ),
        "n + (n + 1) = 127 gives n = 63.",
    ),
    Riddle(
        "geometry",
        30,
        "What is the length of the longest thin straight rod that fits into a closed box which "
        "measures 3 by 4 by 12 decimetres inside?",
        "13 decimetres",
        "The rod lies along the diagonal of the box. The diagonal of the 3 by 4 bottom is 5, and the "
        "root of 5² + 12² is 13.",
        (
            "It does not have to lie on the bottom.",
            "Pythagoras, twice.",
        ),
    ),
    Riddle(
        "wordplay",
        30,
        '"THICKEN the soup!" says the cook. Rearrange the seven letters of the first word, and you '
        "know where in the house she is.",
        "Kitchen",
        "THICKEN and KITCHEN consist of the same seven letters.",
        ("Where do cooks work?",),
    ),
    Riddle(
        "cipher",
        20,
        "Count A as 1, B as 2 and so on up to Z as 26. CAB is then worth 3 + 1 + 2 = 6. What is the word RIDDLE worth?",
        "52",
        "R 18, I 9, D 4, D 4, L 12, E 5: the sum is 52.",
        ("R is the 18th letter.",),
    ),
    Riddle(
        "lateral",
        10,
        "I have rivers without water, woods without trees and towns without people, and you can fold "
        "me into your pocket. What am I?",
        "A map",
        "A paper map shows rivers, woods and towns and can be folded.",
        (),
    ),
    Riddle(
        "logic",
        30,
        "Three days before yesterday was the day after Friday. Which day of the week is today?",
        "Wednesday",
        "The day after Friday is Saturday. Three days before yesterday is four days ago, so today is "
        "four days after Saturday: Wednesday.",
        ('How many days ago is "three days before yesterday"?',),
    ),
    Riddle(
        "arithmetic",
        30,
        "Lena is four times as old as her daughter. In 16 years she will be exactly twice as old as "
        "her daughter. How old is the daughter today?",
        "8 years",
        "With d for the daughter's age, 4d + 16 = 2 (d + 16), so 2d = 16 and d = 8. Check: 32 and 8 "
        "today, 48 and 24 in 16 years.",
        (
            "Both of them grow older by 16 years.",
            "Call the daughter's age d and write down both moments.",
        ),
        "Lena is 32, her daughter 8. In 16 years they are 48 and 24.",
    ),
    Riddle(
        "logic",
        60,
        "Four hikers come to a rope bridge at night. They need 1, 3, 6 and 8 minutes to cross. The "
        "bridge carries two people at most, nobody can cross without the only torch, the torch cannot"
        " be thrown, and two together walk at the speed of the slower one. What is the shortest time "
        "in which all four can be on the other side?",
        "18 minutes",
        "1 and 3 cross (3), 1 returns (1), 6 and 8 cross (8), 3 returns (3), 1 and 3 cross (3): 18 "
        "minutes. Letting the fastest hiker escort each of the others takes 3 + 1 + 6 + 1 + 8 = 19.",
        (
            "The fastest hiker need not always carry the torch.",
            "Let the two slow ones go together.",
            None,
            "Somebody has to wait on the far side to bring the torch back.",
        ),
        "1+3 over (3), 1 back (4), 6+8 over (12), 3 back (15), 1+3 over (18).",
    ),
    Riddle(
        "geometry",
        20,
        "A sheet of paper is folded in half three times, always in the same direction, so that it "
        "becomes a narrow strip. Somebody punches one hole through the middle of the folded strip and"
        " unfolds the sheet. How many holes does the sheet have?",
        "8 holes",
        "Three folds lay 2 × 2 × 2 = 8 layers on one another, and the punch goes through all of them.",
        ("How many layers lie on one another?",),
    ),
    Riddle(
        "wordplay",
        50,
        "TWELVE PLUS ONE makes thirteen. Rearrange these thirteen letters into another sum of two "
        "numbers, in English words, that also makes thirteen.",
        "Eleven plus two",
        "ELEVEN PLUS TWO has the same thirteen letters as TWELVE PLUS ONE, and 11 + 2 = 12 + 1 = 13.",
        (
            "The word PLUS stays.",
            "One of the two numbers is a single digit.",
        ),
    ),
    Riddle(
        "lateral",
        20,
        "A shepherd has 31 sheep in a pen. All but eight of them walk out through the gate. How many "
        "sheep are left in the pen?",
        "8 sheep",
        '"All but eight" walk out, so eight stay; there is nothing to subtract.',
        ("Read the second sentence again.",),
    ),
    Riddle(
        "arithmetic",
        30,
        "A train that is 180 metres long runs through a tunnel of 420 metres at a steady 20 metres "
        "per second. How many seconds pass from the moment its nose enters the tunnel until its last "
        "carriage has left it?",
        "30 seconds",
        "The nose has to travel the tunnel and then one more train length before the tail is out: 420"
        " + 180 = 600 metres. At 20 metres per second that takes 30 seconds.",
        ("When the nose comes out, most of the train is still inside.",),
    ),
    Riddle(
        "arithmetic",
        40,
        "Paul cycles to the mill at 12 km/h and rides back home on the same road at 20 km/h, without "
        "a break. What is his average speed over the whole ride?",
        "15 km/h",
        "Take a road of 60 km: 5 hours there and 3 hours back, so 120 km in 8 hours, which is 15 "
        "km/h. The slow half takes longer, so the average is below 16.",
        (
            "It is not the number in the middle.",
            "The length of the road does not matter: choose a handy one.",
            "Try 60 km.",
        ),
        "The average is 2 × 12 × 20 / (12 + 20) = 15 km/h.",
    ),
    Riddle(
        "logic",
        30,
        "A ranger wants to bring a fox, a hen and a sack of corn across a river. Left alone, the fox "
        "eats the hen and the hen eats the corn. The boat has room for the ranger and two of the "
        "three. What is the smallest number of crossings, counting both directions?",
        "3 crossings",
        "He takes the fox and the corn over, returns alone, and fetches the hen: 3 crossings. One "
        "crossing is not enough for three passengers, and after two the boat is on the wrong side.",
        (
            "This boat is larger than the one you may know.",
            "Which two of the three get on with each other?",
        ),
    ),
    Riddle(
        "geometry",
        20,
        "A rectangular garden has a fence of 36 metres around it and an area of 80 square metres. How"
        " long is its longer side?",
        "10 metres",
        "Length and width add up to 18 and have the product 80: 10 and 8.",
        ("Half of the fence is one length and one width.",),
    ),
    Riddle(
        "wordplay",
        20,
        'Which large animal is hiding in this sentence: "Jacob earned the medal"?',
        "Bear",
        "The last letter of Jacob and the first three of earned read b-ear: JacoB EARned.",
        ("Read across the gaps between the words.",),
    ),
    Riddle(
        "lateral",
        10,
        "An electric tram runs south at 40 km/h. The wind blows from the south at 20 km/h. In which "
        "direction does the tram's smoke drift?",
        "In no direction: there is no smoke",
        "An electric tram burns nothing and makes no smoke.",
        ("How is the tram driven?",),
    ),
    Riddle(
        "arithmetic",
        30,
        "At the end of a chess evening everybody shakes hands once with everybody else. There are 66 "
        "handshakes. How many people were there?",
        "12 people",
        "n people shake hands n (n - 1) / 2 times. 12 × 11 / 2 = 66.",
        (
            "Each handshake belongs to two people.",
            "Which two consecutive numbers have the product 132?",
        ),
    ),
    Riddle(
        "logic",
        40,
        'Gold lies in one of three chests. On chest 1 stands: "The gold is in here." On chest 2: "The'
        ' gold is not in here." On chest 3: "The gold is not in chest 1." Exactly one of the three '
        "sentences is true. Where is the gold?",
        "In chest 2",
        "The sentences on chests 1 and 3 contradict each other, so one of them is the true one, and "
        "the sentence on chest 2 is false: the gold is in chest 2. Then only the sentence on chest 3 "
        "is true.",
        ("Two of the sentences contradict each other.",),
    ),
    Riddle(
        "arithmetic",
        20,
        "A carpenter saws a trunk into 5 pieces in 20 minutes, cutting across it again and again, "
        "each cut taking the same time. How long would she need to saw an identical trunk into 8 "
        "pieces?",
        "35 minutes",
        "5 pieces need 4 cuts, so a cut takes 5 minutes. 8 pieces need 7 cuts: 7 × 5 = 35 minutes.",
        (
            "Time is spent on cuts, not on pieces.",
            "How many cuts make five pieces?",
        ),
    ),
    Riddle(
        "geometry",
        60,
        "A small coin rolls once around the outside of a fixed coin that has three times its "
        "diameter, without slipping, until it is back where it started. How many full turns about its"
        " own centre has the small coin made?",
        "4 turns",
        "Its centre travels on a circle of radius 3r + r = 4r, so 4 times the small coin's "
        "circumference, and a rolling coin turns once for each circumference that its centre travels:"
        " 4 turns.",
        (
            "3 is too few: try it with two equal coins.",
            "Follow the centre of the small coin.",
            "The centre runs on a circle that is larger than the big coin.",
        ),
    ),
    Riddle(
        "wordplay",
        20,
        'Which European capital is hiding in this sentence: "Shepherds came down from every hill"?',
        "Rome",
        'The letters of "from every" contain it: fROM Every.',
        (
            "Read across the gaps between the words.",
            None,
            "It is said that all roads lead there.",
        ),
    ),
    Riddle(
        "cipher",
        30,
        "A ship sends in Morse code; a slash stands between two letters: .-. / .- / .. / -. Which English word is it?",
        "RAIN",
        ".-. is R, .- is A, .. is I, -. is N.",
        (
            "The second letter is A.",
            "The sailors will get wet.",
        ),
    ),
    Riddle(
        "lateral",
        20,
        'It is midnight in Lisbon, and it is raining. The man on the radio says: "In exactly 48 hours'
        ' the sun will be shining here in Lisbon." Why can he not be right?',
        "It will be midnight again",
        "48 hours after midnight it is midnight, and in Lisbon the sun does not shine then, whatever the weather.",
        ("It has nothing to do with the rain.",),
    ),
    Riddle(
        "logic",
        10,
        "In a family there are four sisters, and each of them has exactly one brother. How many "
        "children does the family have?",
        "5 children",
        "All four sisters share the same brother: 4 + 1 = 5.",
        ("Can sisters share something?",),
    ),
    Riddle(
        "arithmetic",
        20,
        "A tower clock strikes five at five o'clock; 8 seconds pass from the first stroke to the "
        "last. At the same rhythm, how many seconds pass from the first to the last stroke at eleven "
        "o'clock?",
        "20 seconds",
        "Five strokes have 4 pauses, so a pause lasts 2 seconds. Eleven strokes have 10 pauses, which is 20 seconds.",
        (
            "Listen to the silence.",
            "There are fewer pauses than strokes.",
        ),
    ),
    Riddle(
        "geometry",
        30,
        "Ten villages lie on a circle. Each is joined to its two neighbours by a road already. How "
        "many more straight roads are needed to join every village directly to every other one?",
        "35 roads",
        "Ten villages have 10 × 9 / 2 = 45 pairs. 10 of them, the neighbours, are joined; 35 are missing.",
        ("How many pairs are there?",),
    ),
    Riddle(
        "wordplay",
        20,
        "You find me twice in summer, once in autumn, and neither in winter nor in spring. What am I?",
        "The letter M",
        "The word summer has two m, autumn has one, winter and spring have none; no other letter fits.",
        (
            "Do not think of the weather.",
            "Look at the words themselves.",
        ),
    ),
    Riddle(
        "lateral",
        20,
        "Two mothers and two daughters go to the cinema. They buy one ticket for each person, three "
        "tickets in all, and nobody gets in free. How many people go to the cinema, and who are they?",
        "3 people: a grandmother, her daughter and her granddaughter",
        "The woman in the middle is a daughter and a mother at once, so three people are two mothers "
        "and two daughters.",
        ("Somebody counts twice.",),
    ),
    Riddle(
        "logic",
        50,
        "A knight stands alone on a chessboard, in the corner a1. What is the smallest number of "
        "moves in which it can get to the opposite corner h8?",
        "6 moves",
        "It has to travel 7 + 7 = 14 squares and covers 3 with each move, so 4 moves are too few, and"
        " as a1 and h8 have the same colour the number of moves is even. 6 moves suffice: "
        "a1-b3-c5-d7-f8-g6-h8.",
        (
            "A knight changes the colour of its square with each move.",
            "What colours are the two corners?",
        ),
    ),
    Riddle(
        "arithmetic",
        10,
        "The area of duckweed on a pond doubles every day. On day 24 the pond is covered completely. "
        "On which day was a quarter of it covered?",
        "Day 22",
        "Going back in time, the area halves each day: half on day 23, a quarter on day 22.",
        ("Go backwards.",),
    ),
    Riddle(
        "arithmetic",
        40,
        "In a dark drawer lie 10 blue, 8 grey and 6 red socks. What is the smallest number of socks "
        "that you have to take out, without looking, to be certain of holding four socks of one "
        "colour?",
        "10 socks",
        "In the worst case the first 9 socks are three of each colour. The tenth sock then has to be "
        "the fourth of some colour, so 10 are enough, and 9 are not.",
        (
            "Imagine that luck is against you.",
            "How many socks can you take without four of a colour?",
        ),
        "3 + 3 + 3 = 9 socks can fail; the tenth cannot.",
    ),
    Riddle(
        "geometry",
        30,
        "A solid block of 5 × 4 × 3 equal small cubes is built. Then every small cube that can be "
        "seen from outside, from any side, the bottom included, is taken away. How many small cubes "
        "are left?",
        "6 cubes",
        "One layer goes from each side, so each measure shrinks by 2: 3 × 2 × 1 = 6.",
        ("What happens to the length, the width and the height?",),
    ),
    Riddle(
        "wordplay",
        20,
        "Read me forwards, and I hold your socks. Read me backwards, and I am what the finder of a "
        "lost purse hopes for. Which English word am I?",
        "Drawer",
        "Drawer read backwards is reward.",
        ("The finder hopes to be thanked.",),
    ),
    Riddle(
        "lateral",
        20,
        "A rope ladder hangs over the side of an anchored, floating ship; its rungs are 25 cm apart, "
        "and the lowest one just touches the water. The tide rises by 50 cm an hour. How many rungs "
        "are under water after two hours?",
        "None (0 rungs)",
        "The ship floats and rises with the tide, and the ladder with it, so the lowest rung still "
        "just touches the water.",
        ("What does the ship do meanwhile?",),
    ),
    Riddle(
        "logic",
        20,
        "37 players take part in a knockout tournament: who loses a match is out, there are no draws,"
        " and in each round an odd player out goes on without playing. How many matches are played "
        "until the winner is found?",
        "36 matches",
        "Each match puts out exactly one player, and 36 players have to be put out.",
        (
            "Do not count rounds.",
            "Look at the losers.",
        ),
    ),
    Riddle(
        "arithmetic",
        20,
        "The digits of a two-digit number add up to 9. If you write them in the opposite order, the "
        "number becomes larger by 27. What was the number?",
        "36",
        "Swapping the digits changes a number by 9 times their difference, so the difference is 3. "
        "Digits with the sum 9 and the difference 3 are 3 and 6, the smaller first: 36, and 63 - 36 ="
        " 27.",
        ("Swapping digits changes a number by a multiple of 9.",),
    ),
    Riddle(
        "logic",
        30,
        "A month has five Mondays, five Tuesdays and five Wednesdays. Which day of the week is the 20th of that month?",
        "Saturday",
        "Three weekdays occur five times only in a month of 31 days, and they are the weekdays of the"
        " 1st, 2nd and 3rd. So the 1st is a Monday, the 15th too, and the 20th is a Saturday.",
        (
            "How many days does such a month have?",
            "Which day is the first?",
        ),
    ),
    Riddle(
        "geometry",
        30,
        "A walker goes 3 km north, 4 km east, 6 km north and 8 km east on flat land. How far is she "
        "from her starting point, as the crow flies?",
        "15 km",
        "Altogether she went 9 km north and 12 km east. The root of 81 + 144 = 225 is 15.",
        ("Put the two northward parts together.",),
    ),
    Riddle(
        "wordplay",
        20,
        "I am a narrow boat, and my English name reads the same from bow and from stern. What am I?",
        "A kayak",
        "K-a-y-a-k is a palindrome and a narrow boat.",
        (
            "The name has five letters.",
            "It comes from the Arctic.",
        ),
    ),
    Riddle(
        "cipher",
        40,
        "A secret message reads LOAKNITAESRUNE. Read only every other letter, beginning with the "
        "first. Which word do you get?",
        "LANTERN",
        "The letters in places 1, 3, 5, 7, 9, 11 and 13 are L, A, N, T, E, R, N.",
        ("Leave out the second letter, the fourth, and so on.",),
    ),
    Riddle(
        "lateral",
        10,
        "In a dark hut you find an oil lamp, a stove full of wood and a candle, and you have a single"
        " match. What do you light first?",
        "The match",
        "Nothing else can be lit before the match is burning.",
        ("What do you need in any case?",),
    ),
    Riddle(
        "arithmetic",
        50,
        "A choirmaster lines up her singers in rows of 2: one is left over. In rows of 3, of 4, of 5 "
        "and of 6 it is the same: one is always left over. Only rows of 7 come out evenly. What is "
        "the smallest number of singers she can have?",
        "301 singers",
        "One less than the number is divisible by 2, 3, 4, 5 and 6, so by 60. Of 61, 121, 181, 241, "
        "301 only the last is divisible by 7: 301 = 7 × 43.",
        (
            "Send one singer home and look again.",
            "The smallest number divisible by 2, 3, 4, 5 and 6 is 60.",
            "Go through 60 + 1, 120 + 1, and so on.",
        ),
        "The candidates are 61, 121, 181, 241, 301, ...; the first multiple of 7 is 301.",
    ),
    Riddle(
        "logic",
        60,
        "At a well you have an empty jug of 3 litres and an empty jug of 7 litres, without any marks."
        " A step is to fill a jug to the brim, to empty a jug, or to pour from one into the other "
        "until one is empty or the other is full. In how few steps can you have exactly 5 litres in "
        "the large jug?",
        "8 steps",
        "Fill 7, pour into 3 (4 left), empty 3, pour (1 left), empty 3, pour the 1 into it, fill 7, "
        "pour 2 into the small jug: 5 are left, after 8 steps. Starting with the small jug takes "
        "longer.",
        (
            "Begin by filling the large jug.",
            "Try to get 1 litre into the small jug first.",
            "With 1 litre in the small jug, only 2 more fit in.",
        ),
    ),
    Riddle(
        "probability",
        50,
        "Three dice, a red, a green and a blue one, are rolled together. How many of the 216 possible"
        " results have the sum 10?",
        "27 results",
        "10 is 6+3+1, 6+2+2, 5+4+1, 5+3+2, 4+4+2 or 4+3+3. Three of these have different numbers and "
        "can be ordered in 6 ways, three have a pair and 3 ways each: 18 + 9 = 27.",
        (
            "List the sums without order first.",
            "Then ask in how many orders each can fall.",
            None,
            "There are six ways without order.",
        ),
    ),
    Riddle(
        "arithmetic",
        40,
        "Somebody multiplies all whole numbers from 1 to 30 and writes the product down in full. With"
        " how many zeros does it end?",
        "7 zeros",
        "Each zero at the end needs a factor 2 and a factor 5, and fives are the rarer ones. 5, 10, "
        "15, 20, 25 and 30 give one each, and 25 gives a second: 7.",
        (
            "You need not multiply anything.",
            "A ten is a two and a five; which is scarce?",
            None,
            "25 hides two of them.",
        ),
    ),
    Riddle(
        "geometry",
        30,
        "Three straight poles of 4 m, 7 m and 11 m are laid on the ground so that their ends meet and"
        " they enclose a triangle. What is its area?",
        "0 square metres",
        "4 + 7 = 11: the two shorter poles just reach from end to end of the longest one, so the "
        "triangle is flat and encloses nothing.",
        (
            "Try to draw it.",
            "Compare the longest pole with the other two.",
        ),
    ),
    Riddle(
        "wordplay",
        30,
        'One and the same English word can follow "sun", "moon" and "day", and it can stand before '
        '"house". Which word is it?',
        "Light",
        "Sunlight, moonlight, daylight and lighthouse.",
        ("Sailors look out for the last one.",),
    ),
    Riddle(
        "lateral",
        60,
        'Ada says: "The day before yesterday I was still 9 years old, and next year I will turn 12." '
        "It is true. On which date does she say it?",
        "1 January",
        "Her birthday is 31 December. On 30 December she was 9, on 31 December she turned 10. Said on"
        " 1 January: at the end of this year she turns 11, and at the end of next year 12.",
        (
            "Such a sentence can be said on one day of the year only.",
            "Her birthday was very recent.",
            '"Next year" is a calendar year.',
        ),
        "She was born on 31 December and speaks on 1 January.",
    ),
    Riddle(
        "arithmetic",
        40,
        "In the land of Odd there are only coins of 1, 9 and 20 marks. What is the smallest number of"
        " coins with which you can pay exactly 47 marks?",
        "4 coins",
        "20 + 9 + 9 + 9 = 47 takes 4 coins. Three coins make at most 60, but no three of them make "
        "47: with two 20s a 7 is missing, with one 20 a 27 in two coins, and without any at most 27 "
        "is reached; fewer coins do not either.",
        (
            "Taking the largest coins first is not always best.",
            "How good are you at the nine times table?",
        ),
        "20 + 9 + 9 + 9 = 47.",
    ),
    Riddle(
        "logic",
        40,
        'Five gnomes sit in a row. The first says: "Exactly one of us lies." The second: "Exactly two'
        ' of us lie." And so on, up to the fifth: "Exactly five of us lie." Which gnome tells the '
        "truth?",
        "The fourth gnome",
        "The sentences exclude each other, so at most one is true. If none were, five gnomes would "
        "lie and the fifth would be right, a contradiction. So exactly one is true and four gnomes "
        "lie, as the fourth says.",
        ("Can two of them be right at once?",),
    ),
    Riddle(
        "geometry",
        20,
        "In a mirror on the opposite wall, a clock without numerals seems to show twenty past four. "
        "What time is it really?",
        "7:40",
        "A mirror swaps left and right, so the true time and the seen time add up to twelve hours: "
        "12:00 - 4:20 = 7:40.",
        (
            "What do half past one and half past ten have in common?",
            "The two times add up to twelve hours.",
        ),
    ),
    Riddle(
        "wordplay",
        20,
        'One and the same English word can stand before "worm", "shelf", "mark" and "case". Which word is it?',
        "Book",
        "Bookworm, bookshelf, bookmark and bookcase.",
        ("All four have to do with reading.",),
    ),
    Riddle(
        "lateral",
        30,
        "Six glasses stand in a row: the first three are full, the last three are empty. Full and "
        "empty ones shall alternate, and you may touch only one glass. What do you do?",
        "Pour the second glass into the fifth and put it back",
        "Emptying glass 2 into glass 5 gives full, empty, full, empty, full, empty, and only glass 2 was touched.",
        (
            "The glass that you touch need not only change its place.",
            "Which two glasses are wrong in the end?",
        ),
    ),
    Riddle(
        "arithmetic",
        30,
        "A fireman stands on the middle rung of a ladder. He climbs 3 rungs up, has to go 5 rungs "
        "down, then climbs 7 up and, when the smoke clears, 6 more, which brings him to the topmost "
        "rung. How many rungs does the ladder have?",
        "23 rungs",
        "3 - 5 + 7 + 6 = 11, so there are 11 rungs above the middle one, and just as many below it: 11 + 1 + 11 = 23.",
        (
            "How far above the middle is the top?",
            "Do not forget the middle rung itself.",
        ),
    ),
    Riddle(
        "logic",
        50,
        "Gus lies on Mondays, Tuesdays and Wednesdays and tells the truth on all other days. On which"
        ' days of the week can he say: "Yesterday I lied"?',
        "Monday and Thursday",
        "On a truthful day the sentence has to be true: only Thursday follows a day of lies. On a "
        "lying day it has to be false: only Monday follows a truthful day.",
        (
            "There are two quite different ways to be able to say it.",
            "On a lying day the sentence must be false.",
        ),
    ),
    Riddle(
        "arithmetic",
        20,
        "A dish holds 2 cells. Each hour every cell splits in two, and right after that exactly one "
        "cell dies. How many cells are in the dish after 6 hours?",
        "65 cells",
        "Each hour the number doubles and then falls by one: 2, 3, 5, 9, 17, 33, 65.",
        ("Go hour by hour.",),
    ),
    Riddle(
        "geometry",
        50,
        "A square is divided into 3 × 3 equal small squares. How many rectangles can be seen in the "
        "figure, all squares included?",
        "36 rectangles",
        "A rectangle is given by two of the 4 vertical lines and two of the 4 horizontal lines: 6 × 6 = 36.",
        (
            "Squares are rectangles too, and there are three sizes of them.",
            "Choose two lines in each direction.",
        ),
    ),
    Riddle(
        "wordplay",
        30,
        "Four English words of three letters differ only in their vowel. With one you fry an egg, "
        "with one you write a letter, one holds pieces of cloth together, and one makes listeners "
        "groan with laughter. Which two consonants begin and end them all?",
        "P and N",
        "Pan, pen, pin and pun.",
        ("The third one is sharp.",),
    ),
    Riddle(
        "cipher",
        40,
        "Somebody counts on ten fingers in binary: each finger stands for one digit, stretched for 1 "
        "and bent for 0. What is the largest number that can be shown?",
        "1023",
        "Ten binary digits that are all 1 are worth 1 + 2 + 4 + ... + 512 = 1024 - 1 = 1023.",
        ("Each finger is worth twice as much as the one before.",),
    ),
    Riddle(
        "lateral",
        10,
        "How many months of the year have 28 days?",
        "All 12 months",
        "Every month has at least 28 days; most of them have a few more as well.",
        ('Nobody said "exactly".',),
    ),
    Riddle(
        "logic",
        20,
        "30 pupils sit in a class. What is the largest number of them of whom you can be certain that"
        " they were born in the same month of the year, whatever the birthdays are?",
        "3 pupils",
        "If no month had more than 2 birthdays, there would be at most 24 pupils. So some month has "
        "at least 3; and 4 is not certain, since 12 months with at most 3 each have room for 36.",
        ("Try to spread them as evenly as you can.",),
    ),
    Riddle(
        "arithmetic",
        40,
        "The streets of a town form a grid. The baker lives 4 blocks east and 3 blocks north of the "
        "school. In how many ways can you walk from the school to the baker if you only ever walk "
        "east or north?",
        "35 ways",
        "A way is an order of 4 steps east and 3 steps north: 7 steps, of which 3 are chosen to go "
        "north, 7 × 6 × 5 / 6 = 35.",
        (
            "Every way has seven steps.",
            "Which of the seven go north?",
        ),
    ),
    Riddle(
        "geometry",
        50,
        "The two volumes of a dictionary stand side by side on a shelf, in the usual order from left "
        "to right, with their spines towards you. The pages of each volume are 4 cm thick, each cover"
        " 0.3 cm. A bookworm eats its way in a straight line from the first page of volume 1 to the "
        "last page of volume 2, not eating these two pages. How long is its tunnel?",
        "0.6 cm",
        "With the spines towards you, the first page of volume 1 is on its right and the last page of"
        " volume 2 on its left. Between them lie only the front cover of volume 1 and the back cover "
        "of volume 2: 2 × 0.3 = 0.6 cm.",
        (
            "Take two books and try.",
            "On which side of a standing book is its first page?",
        ),
        "Only two covers lie between the two pages.",
    ),
    Riddle(
        "wordplay",
        40,
        "A mason hides the lower half of the Roman numeral XII behind a plank that he nails straight "
        "across its middle. Which number can now be read above the plank?",
        "7 (VII)",
        "The upper half of an X looks like a V, and the upper halves of the two strokes are still strokes: VII.",
        ("Draw it, and cover the lower half.",),
    ),
    Riddle(
        "lateral",
        30,
        "A photographer shoots her brother, keeps him under water for five minutes and then hangs him"
        " up to dry. In the evening the two have dinner together, in the best of health. How is that "
        "possible?",
        "She took a photograph of him and developed it",
        "She shot him with a camera; it is the print of his picture that lay in the bath of the "
        "darkroom and was hung up to dry.",
        (
            "Think of her profession.",
            "It happened before cameras were digital.",
        ),
    ),
    Riddle(
        "logic",
        50,
        "A lock opens with three different digits. Four people tried a code each. 408: exactly one "
        "digit is right, and it is in its place. 609: exactly one digit is right, but in the wrong "
        "place. 281: exactly two digits are right, both in the wrong place. 165: no digit is right. "
        "What is the code?",
        "928",
        "165 excludes 1, so 281 says that 2 and 8 belong to the code. The one right digit of 408 is "
        "therefore the 8, and it stands third; 0 and 4 are out. From 609 only the 9 is left, and it "
        "is not third. As 2 is not first, the code is 9, 2, 8.",
        (
            "Start with the line that excludes most.",
            "After that, 281 tells two digits.",
            None,
            "The 8 stands in the third place.",
        ),
    ),
    Riddle(
        "arithmetic",
        40,
        "In how many different orders can the five letters of the word LEVEL be written?",
        "30 orders",
        "Five different letters would have 120 orders. Swapping the two L changes nothing, nor does "
        "swapping the two E: 120 / (2 × 2) = 30.",
        ("Two letters occur twice.",),
    ),
)
