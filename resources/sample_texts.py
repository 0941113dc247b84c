"""Sample texts of all kinds and lengths: to choose the scales of the quantised embedder, and to try it on."""

TEXTS = (
    "Red ceramic mug with handle, 350 ml, dishwasher safe",
    "Wooden picture frame, 20 x 30 cm, white wash finish",
    "Set of 6 Christmas tree decorations, gold and silver glitter",
    "Men's waterproof hiking jacket with removable hood",
    "Women's running shoes, breathable mesh, size 38 to 43",
    "Stainless steel water bottle, keeps drinks cold for 24 hours and hot for 12",
    "LED desk lamp with USB charging port and three brightness levels",
    'Vintage style tin sign "Fresh Coffee Served Here"',
    "100% organic cotton t-shirt, unisex, navy blue",
    "Bluetooth headphones, noise cancelling, 30 hours battery",
    "A young witch leaves home to learn magic in a distant city, where she opens a delivery service.",
    "Two detectives hunt a serial killer across post-war Berlin while hiding secrets of their own.",
    "After the death of his father, a boy finds a robot buried behind the farm and sets out across the desert.",
    (
        "In this documentary, climbers attempt the first winter ascent of one of the most dangerous mountains "
        "of the world."
    ),
    ("The product arrived two days late and the box was damaged, but the seller answered quickly and sent a new one."),
    "I love this bag! The leather is soft, the zip runs smoothly and it holds everything I need for work.",
    "Terrible quality, it broke after one week. I want my money back.",
    "Muito bom, chegou antes do prazo e bem embalado. Recomendo a todos.",
    "O produto veio com defeito e a loja não responde às mensagens.",
    "Schöne Tasse, leider kam sie zerbrochen an. Der Ersatz wurde schnell geschickt.",
    "La livraison a été rapide, mais la couleur ne correspond pas à la photo.",
    "El tamaño es más pequeño de lo que esperaba; la tela es buena.",
    "Gift wrap roll, retro spots, 2 m",
    "Paper napkins, pack of 20, rose design",
    "Hanging heart t-light holder",
    "Jumbo storage bag, strawberry print",
    "Cake stand, three tiers, Regency style",
    "Children's umbrella with dinosaurs",
    "Garden gnome with fishing rod",
    "Alarm clock, bakelike, green",
    "Postage and packaging",
    "Lunch box with cutlery, circus parade",
    "Feltcraft doll making kit",
    "Knitted mittens and scarf",
    "Hot water bottle, knitted cover",
    "Door mat, black and white tiles",
    "Sewing box with buttons, needles and thread",
    "Bread bin, enamel, cream",
    "Scented candle, vanilla and sandalwood, burns 40 hours",
    "Cookware set: two pots, one pan, glass lids, induction",
    "Yoga mat, 6 mm, non slip",
    "Mountain bike, 29 inch wheels, hydraulic disc brakes, 21 gears",
    "Office chair with lumbar support, adjustable arm rests",
    "Kids' puzzle, 100 pieces, map of the world",
    "Science fiction, adventure, space",
    "Comedy, romance, school",
    "Action; martial arts; supernatural",
    "Slice of life",
    "An anthology of short stories about strangers who meet on a night train and never see each other again.",
    (
        "Earth has been conquered by machines, and the last free city floats above the clouds. Its guardians "
        "are three sisters who can each see one minute into the future, past or present. When one of them "
        "disappears, the other two must decide whom they can trust, and whether the city deserves to be saved "
        "at all. Their search leads through forgotten libraries, sunken harbours and a carnival that never "
        "ends."
    ),
    (
        "The story follows an ambitious chef who loses her restaurant, her savings and her sense of taste in a "
        "single night. She returns to the village that she left twenty years ago, where her grandmother still "
        "cooks for the fishermen, and slowly learns that food was never about the plate. A warm, funny film "
        "about failure, family and soup."
    ),
    (
        "He is the strongest hero of his generation, and he is bored. Every enemy falls with one blow. Then a "
        "weak, clumsy boy asks to become his student, and the hero finds out that teaching is the one battle "
        "that he cannot win by force."
    ),
    (
        "When a small town's only doctor retires, a reluctant young physician from the capital takes her place "
        "for a summer and stays for a lifetime."
    ),
    (
        "Stand-up comedian jokes about marriage, aging parents, airline food and the absurdity of social media "
        "in this hour-long special recorded in Chicago."
    ),
    (
        "This series explores the history of cities through their bridges, tunnels, sewers and power stations, "
        "with engineers who keep them running."
    ),
    "a",
    "?",
    "1234567890",
    "SKU 85123A",
    "http://www.example.com/products?id=42&color=blue",
    "THE BEST PRICE!!! BUY NOW!!! FREE SHIPPING!!!",
    "blue blue blue blue blue blue blue blue",
    "Curtain, grey, 140 x 245 cm, eyelets",
    "Baby blanket, fleece, pink with elephants",
    "Dog collar, leather, adjustable 30-45 cm",
    "Aquarium filter for tanks up to 120 litres",
    "Guitar strings, light gauge, phosphor bronze",
    "Hand cream with shea butter, 75 ml",
    "Electric toothbrush with two heads and travel case",
    "Protein powder, chocolate flavour, 1 kg",
    "Green tea, loose leaf, 250 g, from Japan",
    "Olive oil, extra virgin, cold pressed, 750 ml",
    "Tomato seeds, heirloom mix, 50 pieces",
    "Cordless drill, 18 V, two batteries, case",
    "Screwdriver set, magnetic, 24 pieces",
    "Car phone holder with wireless charging",
    "Tent for four people, 3000 mm water column",
    "Swim goggles, anti-fog, mirrored lenses",
    "Football, size 5, hand stitched",
    "Board game for two to four players, 45 minutes, ages 10 and up",
    "Wireless mouse, ergonomic, left-handed",
    "External hard drive, 2 TB, USB 3.2",
    "Smartwatch with heart rate monitor and GPS",
    "Camera tripod, carbon fibre, 1.2 kg",
    "E-book reader, 7 inches, waterproof, warm light",
    "Poster, botanical print, A2",
    "Wall clock, silent movement, oak",
    "Cushion cover, velvet, mustard yellow, 45 x 45 cm",
    "Duvet, 135 x 200 cm, all seasons",
    "Bath towel, Egyptian cotton, 600 g per square metre",
    "Silver earrings with freshwater pearls",
    "Sunglasses, polarised, tortoise frame",
    "Wallet with RFID protection, brown leather",
    "Suitcase, 55 cm, four wheels, hand luggage",
    "Belt, reversible black and brown",
    "Evening dress, long, emerald green, satin",
    "Jeans, slim fit, stretch denim, dark wash",
    "Wool socks, pack of three",
    "Raincoat for toddlers, yellow",
    "Leather boots, lined, rubber sole",
    "Straw hat with ribbon",
    "Produto excelente",
    "Não gostei",
    "Chegou rápido",
    "Sehr gut",
    "Très bien",
    "どうもありがとう",
    "Спасибо, всё отлично",
)
